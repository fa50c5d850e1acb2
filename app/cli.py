"""The command line. Heavy imports wait until a command needs them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

PROJECT = click.argument("project", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
REVIEWER = click.Choice(["terminal", "simulated", "none"])


def _shared(*options: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


DATA_OPTIONS = _shared(
    click.argument("goal"),
    click.option(
        "--data", required=True, help="CSV, TSV, JSON lines, Parquet, a folder, a hub id."
    ),
    click.option(
        "--text-column", "text_columns", multiple=True, help="May be given several times."
    ),
    click.option(
        "--second-column",
        "second_columns",
        multiple=True,
        help="Items are pairs: the column of the second text. May be given several times.",
    ),
    click.option("--id-column", help="Column with stable ids; else the row number."),
    click.option("--labels", help='"a,b,c", or "a: what it means; b: …".'),
    click.option("--multi-label", is_flag=True, help="An item may have several labels, or none."),
    click.option(
        "--entities",
        is_flag=True,
        help="Mark parts of the texts, such as names; --labels are their types.",
    ),
    click.option("--labels-from-gold", is_flag=True, help="Take the set of names, nothing else."),
    click.option("--gold-column", help="For the simulated reviewer; the agent never reads it."),
    click.option("--encoding", default="utf-8", show_default=True, help="Of text files."),
    click.option("--guidelines", default="", help="What to do where two labels could fit."),
    click.option("--human-labels", type=int, default=200, show_default=True, help="Budget."),
    click.option("--usd", type=float, help="Budget in US dollars."),
    click.option("--minutes", type=float, help="Budget of working time."),
    click.option("--label-price", type=float, default=0.0, help="US dollars a human label costs."),
    click.option("--target-accuracy", type=float, help="Share of right labels wanted, like 0.95."),
    click.option(
        "--confidence-level",
        type=float,
        default=0.95,
        show_default=True,
        help="Of the certificate.",
    ),
    click.option(
        "--learner",
        type=click.Choice(["linear", "svm", "bert", "setfit"]),
        help="linear: on sentence embeddings; svm: on words; bert: fine-tuned; "
        "setfit: fine-tuned sentence embeddings. "
        "Default: setfit; linear above 20,000 items or below 1 training label a class; "
        "svm for pairs.",
    ),
    click.option("--encoder", default="all-MiniLM-L6-v2", show_default=True),
)


MODEL_OPTIONS = _shared(
    click.option(
        "--llm",
        multiple=True,
        help="Chat model, like openai:MODEL@URL; given several times: a committee. Default: none.",
    ),
    click.option(
        "--strong-llm", default="none", help="A better, dearer one: judges, second opinions."
    ),
    click.option(
        "--annotator",
        type=click.Choice(["auto", "llm", "embedded"]),
        default="auto",
        show_default=True,
        help="Who suggests labels; auto: the chat model where there is one.",
    ),
    click.option(
        "--price-in",
        type=float,
        multiple=True,
        help="USD for a million tokens read; for several models in the order of --llm.",
    ),
    click.option(
        "--price-out",
        type=float,
        multiple=True,
        help="USD for a million tokens written; likewise.",
    ),
    click.option("--strong-price-in", type=float, default=0.0, help="The same of --strong-llm."),
    click.option("--strong-price-out", type=float, default=0.0, help="The same of --strong-llm."),
    click.option(
        "--wrong-label-usd",
        type=float,
        help="What one wrong delivered label costs: a person is asked where that is cheaper.",
    ),
    click.option("--llm-cache", default="", help="File that keeps answers, or none."),
    click.option("--llm-concurrency", type=int, default=0, help="Calls at once; 0: what suits it."),
    click.option("--llm-rate", type=float, default=0.0, help="Calls begun in a second; 0: any."),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="labelwright")
def cli() -> None:
    """Describe what to label; get labels, a classifier, a certificate and a trace."""


@cli.command()
@DATA_OPTIONS
@click.option("--project", type=click.Path(path_type=Path), help="Project folder to make.")
@MODEL_OPTIONS
@click.option("--policy", type=click.Choice(["playbook", "llm"]), default="playbook")
@click.option(
    "--autonomy",
    type=click.Choice(["ask-all", "ask-labels", "auto"]),
    default="ask-labels",
    show_default=True,
    help="Which of the agent's decisions wait for your word.",
)
@click.option("--reviewer", type=REVIEWER, default="terminal", show_default=True)
@click.option("--reviewer-error-rate", type=float, default=0.0, help="Of the simulated reviewer.")
@click.option(
    "--generate",
    type=click.Choice(["no", "model", "augment"]),
    default="no",
    show_default=True,
    help="Write texts for training too: by the chat model, or recombined from labelled ones.",
)
@click.option(
    "--recipe",
    type=click.Choice(["standard", "uncertainty", "coverage", "adaptive", "random"]),
    default="standard",
    show_default=True,
    help="How the playbook chooses samples.",
)
@click.option(
    "--strategy",
    default="",
    help='In place of the recipe\'s once there is a model, like badge or "anchor(margin)".',
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@AS_JSON
def run(as_json: bool, **options: Any) -> None:
    """Label a data set: from GOAL in plain words to labels, classifier, certificate, trace."""
    from .options import options_of
    from .runs import create_project

    console = _console(as_json)
    with console.status("Reading the data"):
        project = create_project(options_of(**options))
    console.print(f"Project {project.folder}", markup=False, highlight=False, soft_wrap=True)
    _drive(project, console, as_json=as_json, reviewer=None)


@cli.command()
@PROJECT
@click.option("--reviewer", type=REVIEWER, help="In place of the one the run began with.")
@AS_JSON
def resume(project: Path, reviewer: str | None, as_json: bool) -> None:
    """Go on with a paused or interrupted run."""
    from .project import Project

    _drive(Project(project), _console(as_json), as_json=as_json, reviewer=reviewer)


@cli.command()
@PROJECT
@AS_JSON
def status(project: Path, as_json: bool) -> None:
    """Show how far a run is; works while it runs."""
    from dataclasses import asdict

    from .project import Project
    from .show import print_status

    with closing(Project(project)) as opened:
        found = opened.status()
    if as_json:
        _print_json(asdict(found))
    else:
        print_status(_console(False), found)


@cli.command()
@PROJECT
def review(project: Path) -> None:
    """Answer what a paused run asks, in the terminal."""
    from .answering import answer_and_keep
    from .project import Project
    from .terminal import TerminalReviewer

    with closing(Project(project)) as opened:
        done = answer_and_keep(opened, TerminalReviewer())
    word = "All is answered" if done else "Your answers are kept"
    command = "resume" if done else "review"
    click.echo(f"{word}; go on with `labelwright {command} {project}`.")
    sys.exit(0 if done else 10)


@cli.command()
@PROJECT
@click.option("--item", help="Show the life of one item's label.")
@click.option("--verify", is_flag=True, help="Check the hash chain and the store against it.")
@click.option("--head", help="With --verify: the trace head that was shown at the end of the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON lines.")
@click.option("--html", type=click.Path(path_type=Path), help="Write one self-contained page.")
def audit(
    project: Path,
    item: str | None,
    verify: bool,
    head: str | None,
    as_json: bool,
    html: Path | None,
) -> None:
    """Show what was decided, why, and what came of it."""
    from .audit_command import audit_project

    sys.exit(
        audit_project(
            project,
            _console(as_json),
            item=item,
            verify=verify,
            head=head,
            as_json=as_json,
            html=html,
        )
    )


@cli.command()
@PROJECT
@click.option("--at", type=int, required=True, help="Number of the decision to take otherwise.")
@click.option("--decision", required=True, help='JSON: {"tool": …, "args": {…}, "reason": …}.')
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder of the fork.")
@click.option("--reviewer", type=REVIEWER, help="In place of the one the run began with.")
@AS_JSON
def fork(
    project: Path, at: int, decision: str, to: Path, reviewer: str | None, as_json: bool
) -> None:
    """Go back to a decision, take another one, and run on in a copy; the original stays."""
    from .fork import fork_project
    from .project import Project

    with closing(Project(project)) as original:
        forked = fork_project(original, at, decision, to)
    _drive(forked, _console(as_json), as_json=as_json, reviewer=reviewer)


@cli.command()
@PROJECT
@click.option("--to", type=click.Path(path_type=Path), help="Another folder for the files.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    multiple=True,
    default=("csv", "jsonl", "parquet"),
)
def export(project: Path, to: Path | None, formats: tuple[str, ...]) -> None:
    """Write the labelled data again."""
    from ..tools.export import write_exports
    from ..tools.export_entities import ENTITIES, TOKENS_FILE, write_tokens
    from .project import Project

    with closing(Project(project)) as opened:
        labels = opened.labels()
        split = opened.settings.tokens
    folder = to or project / "exports"
    paths = list(write_exports(labels, folder, formats=formats).values())
    if ENTITIES in labels.column_names:
        paths.append(write_tokens(labels, folder / TOKENS_FILE, split=split))
    for path in paths:
        click.echo(str(path))


@cli.command()
@DATA_OPTIONS
@MODEL_OPTIONS
@AS_JSON
def plan(as_json: bool, **options: Any) -> None:
    """Show what `run` would do and cost, spending nothing and writing nothing."""
    from .plan import make_plan, print_plan

    found = make_plan(**options)
    if as_json:
        _print_json(found)
    else:
        print_plan(_console(False), found)


@cli.command()
@click.option("--llm", multiple=True, help="A chat model to try: is its server there? Repeatable.")
@AS_JSON
def doctor(llm: tuple[str, ...], as_json: bool) -> None:
    """Show what is installed and what is reachable."""
    from .doctor import examine, print_findings

    findings = examine(*llm)
    if as_json:
        _print_json([finding.__dict__ for finding in findings])
    else:
        print_findings(_console(False), findings)
    sys.exit(0 if all(finding.ok or not finding.needed for finding in findings) else 1)


def _drive(project: Any, console: Console, *, as_json: bool, reviewer: str | None) -> None:
    from .answering import make_reviewer
    from .runs import drive
    from .show import Narrator, RichProgress, print_result

    started = time.perf_counter()
    progress = RichProgress(console)
    try:
        answers = make_reviewer(project, progress, reviewer)
        result = drive(project, reviewer=answers, progress=progress, on_event=Narrator(console))
    except KeyboardInterrupt:
        text = f"\nStopped; go on with `labelwright resume {project.folder}`."
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        sys.exit(10)
    finally:
        project.close()
    seconds = time.perf_counter() - started
    print_result(console, result, seconds)
    if as_json:
        from dataclasses import asdict

        _print_json(
            {**asdict(result), "project": str(result.project), "seconds": round(seconds, 1)}
        )
    sys.exit(result.exit_code)


def _console(as_json: bool) -> Console:
    from rich.console import Console

    # JSON has standard output to itself; everything else goes where scripts do not read.
    return Console(stderr=as_json)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, sort_keys=True))


def main() -> None:
    """Run the command line; errors the user or operator can mend are one line."""
    from ..store.errors import LabelwrightError

    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(10)
    except LabelwrightError as error:
        click.echo(f"labelwright: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
