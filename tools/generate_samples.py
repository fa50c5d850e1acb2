"""`generate_samples`: write new training texts and keep those that pass the filters."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ..models.llm.base import Asker
from ..store.errors import UserError
from ..store.records import Artefact, Charge
from .base import Outcome, Tool, ToolArgs, ToolContext
from .generation.material import Material, gather
from .generation.orders import Method
from .generation.recombining import METHOD as RECOMBINE
from .generation.recombining import recombine
from .generation.records import KEY, Draft, dropped_records
from .generation.screening import Confirm, Screened, screen
from .generation.targets import targets
from .generation.terms import NOTHING_WRITTEN_BY_A_MODEL, Terms, terms_of
from .generation.writing import write


class GenerateArgs(ToolArgs):
    """How to write, how much, for which labels, and what must hold of a text."""

    method: Annotated[
        Literal[
            "definitions",
            "attributes",
            "minority",
            "weak_spots",
            "contrast",
            "paraphrase",
            "style",
            "back_translation",
            "recombine",
        ],
        Field(
            description="definitions: from the labels; attributes: the same with topic, length and "
            "tone; minority: for the rarest labels; weak_spots: where the learner errs; contrast: "
            "labelled texts changed to another label; paraphrase, style, back_translation: "
            "labelled texts in other words; recombine: clauses of labelled texts, no chat model"
        ),
    ]
    k: Annotated[int, Field(ge=1, le=200, description="how many texts to write")]
    labels: Annotated[
        tuple[str, ...], Field(description="only for these labels; all where there are none")
    ] = ()
    confirm: Annotated[
        Literal["judge", "agreement", "learner"],
        Field(
            description="who must give the label again: the judging chat model, two of three of "
            "its answers, or the learner (no sure other label)"
        ),
    ] = "judge"
    novel_tags: Annotated[
        bool, Field(description="drop texts that the chat model tags with nothing new")
    ] = False


class GenerateSamples(Tool[GenerateArgs]):
    """Writes texts that are no pool items and keeps those that pass as artefact `generated`."""

    name = "generate_samples"
    description = (
        "Write new labelled texts for training, filter them and keep those that pass. They train "
        "only through train_model with generated=true, and only if gold comes out better."
    )
    Args = GenerateArgs

    def run(self, context: ToolContext, args: GenerateArgs) -> Outcome:
        """Write, filter and describe; see `Tool.run`."""
        started = time.perf_counter()
        if context.settings.second_columns:
            raise UserError("texts can be generated for single texts only, not for pairs")
        if context.form.several:
            raise UserError("texts can be generated for one label an item only, not for several")
        material = gather(context)
        wanted = targets(material, args.method, args.k, args.labels)
        if args.method == "recombine":
            job = _augment(context, material, args.confirm, wanted)
        else:
            job = _write(context, material, args.method, args.confirm, wanted)
        tagger = context.asker("main") if args.novel_tags else None
        if args.novel_tags and tagger is None:
            raise UserError("novel_tags asks a chat model and this run has none: leave it out")
        screened = screen(context, job.drafts, confirm=job.confirm, judge=job.judge, tagger=tagger)
        value = _artefact(context, args, job, screened)
        return Outcome(
            result=_result(value),
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(Artefact(KEY, value),),
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """What was written, by whom, and who is to confirm it."""

    drafts: list[Draft]
    writer: str
    calls: int
    unusable: int
    confirm: Confirm
    judge: Asker | None
    terms: dict[str, str]


def _write(
    context: ToolContext, material: Material, method: Method, confirm: Confirm, wanted: list[str]
) -> _Job:
    writer = context.asker("main")
    if writer is None:
        raise UserError(
            f"method {method!r} asks a chat model and this run has none: give one with --llm, "
            f"or use {RECOMBINE!r}"
        )
    written = write(writer, material, method, wanted, seed=context.seed)
    return _Job(
        list(written.drafts),
        writer.name,
        written.calls,
        written.unusable,
        confirm,
        context.asker("judge"),
        terms_of(writer.name).as_record(),
    )


def _augment(context: ToolContext, material: Material, confirm: Confirm, wanted: list[str]) -> _Job:
    """Without a chat model: who confirms is the learner then, or nobody while there is none."""
    judge = context.asker("judge")
    if judge is None:
        confirm = "learner" if context.store.artefact("model") else "nobody"
    terms = Terms("", "none", NOTHING_WRITTEN_BY_A_MODEL, "").as_record()
    drafts = recombine(material.examples, wanted, seed=context.seed)
    return _Job(drafts, "", 0, 0, confirm, judge, terms)


def _artefact(
    context: ToolContext, args: GenerateArgs, job: _Job, screened: Screened
) -> dict[str, Any]:
    sifted = screened.sifted
    asked = job.judge if job.confirm in ("judge", "agreement") else None
    return {
        "round": context.round,
        "call": context.call,
        "method": args.method,
        "wanted": args.k,
        "writer": job.writer,
        "augmentation": args.method == RECOMBINE,
        "calls": job.calls,
        "unusable": job.unusable,
        "confirmed_by": asked.name if asked else job.confirm,
        "terms": job.terms,
        "compared_with": screened.compared,
        "rejected_by": sifted.counts(),
        "report": screened.variety.as_record(),
        "items": [job.drafts[place].as_record(seed=context.seed) for place in sifted.kept],
        "rejected": dropped_records(job.drafts, sifted.dropped),
    }


def _result(value: dict[str, Any]) -> dict[str, Any]:
    """What the policy sees: numbers and names, no text that was written."""
    report = dict(value["report"])
    report["labels"] = {name: count for name, count in report["labels"].items() if count}
    return {
        "method": value["method"],
        "wanted": value["wanted"],
        "written": report["written"],
        "kept": report["kept"],
        "rejected_by": value["rejected_by"],
        "answers_unusable": f"{value['unusable']} of {value['calls']}",
        "confirmed_by": value["confirmed_by"],
        "terms": value["terms"]["restriction"],
        "report": report,
    }
