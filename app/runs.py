"""Run a project: the loop between the graph and whoever answers its questions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..models.encoders import Encoder, load_encoder
from ..models.pairs import PairEncoder
from ..models.progress import NoProgress, Progress
from ..store.errors import UserError
from ..store.events import RunEvent
from ..store.files import disk_errors
from ..store.records import Totals
from ..store.spec import Settings
from ..store.trace import Place
from .answering import answer, make_reviewer
from .data import load
from .gateways import check_models, open_gateways
from .options import Options, checked_labels, learner_for, options_of, request_of
from .project import WAITING, Project
from .reviewers import Reviewer

if TYPE_CHECKING:
    from ..agent.policy import Policy
    from ..graphs.context import Context
    from ..graphs.main import Graph
    from ..models.llm.base import Asker
    from ..models.llm.gateway import Gateway

MIN_ITEMS = 10
OWN_SETTINGS = ("data", "text_columns", "second_columns", "tokens", "learner")
"""Settings that follow from the data as well as from the options."""
OnEvent = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    status: Literal["finished", "paused"]
    project: Path
    waiting: dict[str, Any] | None
    """What a person is asked for, when paused."""
    certificate: dict[str, Any] | None
    quality: dict[str, Any] | None
    totals: Totals
    files: dict[str, str]
    """Path of each file handed over, relative to the project, and its SHA-256."""
    head: str
    """Hash of the last trace event: keep it to check the trace against later."""
    warnings: tuple[str, ...] = ()
    """What to know before using what was handed over, such as the terms of a model that wrote
    training texts."""

    @property
    def exit_code(self) -> int:
        """0 finished, 10 paused for a person."""
        return 0 if self.status == "finished" else 10


def create_project(options: Options, *, chat: Any = None) -> Project:
    """Check everything a user may get wrong, then make the project folder.

    Raises:
        UserError: one line that names the place and the fix; nothing was written.
    """
    labels = checked_labels(options)
    check_models(options, chat)
    loaded = load(
        options.data,
        text_columns=options.text_columns,
        second_columns=options.second_columns,
        id_column=options.id_column,
        gold_column=options.gold_column,
        encoding=options.encoding,
        several=options.multi_label,
        marked=options.entities,
        label_names=[label.name for label in labels] if labels and options.gold_column else None,
    )
    if len(loaded.ids) < MIN_ITEMS:
        raise UserError(
            f"{options.data!r} has {len(loaded.ids)} items: too few to learn from, at least "
            f"{MIN_ITEMS} are needed; label them by hand"
        )
    request = request_of(options, labels, loaded.text_columns)
    names = [name for name in Settings.model_fields if name not in OWN_SETTINGS]
    settings = Settings(
        data=options.data,
        text_columns=list(loaded.text_columns),
        second_columns=list(options.second_columns),
        tokens=loaded.tokens,
        learner=learner_for(options, len(loaded.ids), len(labels)),
        **{name: getattr(options, name) for name in names},
    )
    folder = options.project or _free_folder(Path(options.data))
    return Project.create(folder, loaded, request, settings)


def run(
    goal: str,
    data: str | Path,
    *,
    project: str | Path | None = None,
    reviewer: Reviewer | Literal["terminal", "simulated", "none"] = "terminal",
    encoder: str | Encoder = "all-MiniLM-L6-v2",
    progress: Progress | None = None,
    on_event: OnEvent | None = None,
    chat: Any = None,
    **options: Any,
) -> RunResult:
    """Label a data set: the whole job, from a goal to labels, classifier, certificate and trace.

    Args:
        goal: what is to be labelled, in plain words.
        data: a file of texts (see `app.data.load`).
        project: the project folder to make; by default named after the data.
        reviewer: who answers: a name, or an object with the `Reviewer` protocol.
        encoder: a name, or an object with the `Encoder` protocol.
        progress: shows how far long steps are.
        on_event: called with every decision and result.
        chat: in place of the model that `llm` names: a LangChain chat model or a `Backend`, or
            several by role, `{"main": …, "member-2": …, "strong": …}`.
        **options: the other fields of `Options`, which are those of the command line; `llm` may be
            a list of chat models, which are a committee.

    Raises:
        UserError: bad input; nothing was written.
        OperatorError: the machine is in the way; `resume` goes on.
    """
    name = reviewer if isinstance(reviewer, str) else "none"
    given = options_of(
        goal=goal,
        data=str(data),
        project=None if project is None else Path(project),
        reviewer=name,
        encoder=encoder if isinstance(encoder, str) else encoder.name,
        **options,
    )
    made = create_project(given, chat=chat)
    try:
        return drive(
            made,
            reviewer=reviewer if not isinstance(reviewer, str) else None,
            encoder=encoder if not isinstance(encoder, str) else None,
            progress=progress,
            on_event=on_event,
            chat=chat,
        )
    finally:
        made.close()


def drive(
    project: Project,
    *,
    reviewer: Reviewer | None = None,
    encoder: Encoder | None = None,
    progress: Progress | None = None,
    on_event: OnEvent | None = None,
    chat: Any = None,
) -> RunResult:
    """Run a project until it is finished or waits for a person; go on where it was.

    Args:
        project: a project that was made or opened.
        reviewer: who answers; by default the one of the project's settings.
        encoder: in place of the one of the settings.
        progress: shows how far long steps are.
        on_event: called with every decision and result.
        chat: in place of the chat model of the settings.

    Raises:
        UserError: another process runs the project, or task.yaml is not valid.
        OperatorError: the machine is in the way; call it again afterwards.
    """
    bars = progress or NoProgress()
    with (
        disk_errors("the run"),
        project.locked(),
        _graph(project) as graph,
        open_gateways(project.settings, chat, project.budgets.usd) as gateways,
    ):
        project.take_edits()
        answers = reviewer or make_reviewer(project, bars)
        context = _context(project, bars, encoder, gateways, on_event)
        if not project.finished:
            _note(project, "resumed" if project.store.has_event("goal") else "started")
            _loop(project, graph, context, answers)
        return result_of(project)


def result_of(project: Project) -> RunResult:
    """How the project stands, as `run` returns it."""
    delivered = project.store.effect("deliver") or {}
    return RunResult(
        status="finished" if project.finished else "paused",
        project=project.folder,
        waiting=None if project.finished else project.waiting(),
        certificate=project.store.artefact("certificate"),
        quality=project.store.artefact("quality"),
        totals=project.store.totals(),
        files=dict(delivered.get("files", {})),
        head=project.store.head(),
        warnings=tuple(delivered.get("warnings", ())),
    )


def _loop(project: Project, graph: Graph, context: Context, reviewer: Reviewer) -> None:
    from langgraph.types import Command

    from ..graphs.state import GRAPH_VERSION

    config: Any = {
        "configurable": {"thread_id": project.run_id},
        "recursion_limit": 10_000,
        "metadata": {"graph_version": GRAPH_VERSION},
    }
    state = graph.get_state(config)
    _check_version(state)
    pending = [each.value for each in state.interrupts]
    given: Any = None if state.values or state.next else {"run": project.run_id}
    rejected = False
    while True:
        if pending:
            project.store.set_meta(WAITING, json.dumps(pending[0]))
            # A rejected spec is not asked again at once: the person edits task.yaml first.
            given = None if rejected else answer(project, reviewer, pending[0])
            if given is None:
                _note(project, "paused", json.dumps(pending[0]))
                return
            project.store.set_meta(WAITING, "")
            rejected = pending[0].get("subject") == "spec" and given["type"] == "reject"
            given = Command(resume=given)
        output = graph.invoke(given, config, context=context, durability="sync", version="v2")
        pending = [each.value for each in output.interrupts]
        if not pending:
            _note(project, "finished")
            return


def _context(
    project: Project,
    progress: Progress,
    encoder: Encoder | None,
    gateways: dict[str, Gateway],
    on_event: OnEvent | None,
) -> Context:
    from ..graphs.context import Context
    from ..tools.base import Workbench

    settings = project.settings

    def encode() -> Encoder:
        found = encoder if encoder is not None else load_encoder(settings.encoder)
        return PairEncoder(found) if settings.second_columns else found

    return Context(
        store=project.store,
        pool=project.pool,
        settings=settings,
        bench=Workbench(encode, progress),
        policy=_policy(project, gateways),
        run=project.run_id,
        gateways=gateways,
        on_event=on_event or (lambda _what, _detail: None),
    )


def _policy(project: Project, gateways: dict[str, Gateway]) -> Policy:
    from ..agent.playbook import PlaybookPolicy
    from ..agent.recipes import recipe

    settings = project.settings
    playbook = PlaybookPolicy(recipe(settings.recipe, settings.strategy))
    if settings.policy != "llm" or "main" not in gateways:
        return playbook
    from ..agent.llm_policy import LLMPolicy
    from ..models.llm.account import StoreAccount

    def asker_at(step: int) -> Asker:
        place = Place(project.run_id, step, "decide")
        return gateways["main"].paid_by(StoreAccount(project.store, place, project.budgets.usd))

    return LLMPolicy(asker_at, settings.llm, playbook, seed=settings.seed)


@contextmanager
def _graph(project: Project) -> Iterator[Graph]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    from ..graphs.main import build_graph

    # The checkpoints live in the project's database: one file, one order of writes.
    connection = sqlite3.connect(project.folder / "labelwright.db", check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA busy_timeout=30000")
        yield build_graph(SqliteSaver(connection))
    finally:
        connection.close()


def _check_version(state: Any) -> None:
    from ..graphs.state import GRAPH_VERSION

    written = (state.metadata or {}).get("graph_version", GRAPH_VERSION)
    if written != GRAPH_VERSION:
        raise UserError(
            f"this run was paused by a Labelwright with graph version {written!r}, this one has "
            f"{GRAPH_VERSION!r}: finish it with the older version"
        )


def _note(project: Project, what: Any, detail: str = "") -> None:
    place = Place(project.run_id, project.step, "app")
    event = RunEvent(
        what=what,
        version=version("labelwright"),
        settings=project.settings.model_dump(mode="json"),
        detail=detail,
    )
    with project.store.transaction(place) as writer:
        writer.event(f"run:{what}:{project.store.head()[:16]}", event)


def _free_folder(data: Path) -> Path:
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in data.name.split(".")[0])
    base = f"labelwright-{stem or 'project'}"
    taken: Sequence[str] = [path.name for path in Path.cwd().iterdir()]
    number = 1
    name = base
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return Path(name)
