"""One question at the terminal: what its screen shows, and the line that says what the keys do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..store.label_sets import decode
from ..store.records import Question, ReviewPurpose
from ..store.spans import decode as decode_spans
from ..tools.labels import names_of
from .keys import Numbered
from .screen import pages
from .terminal_sets import NONE, Chosen
from .terminal_spans import Marks, keys_of

if TYPE_CHECKING:
    from .reviewers import Desk


@dataclass(frozen=True, slots=True)
class QuestionScreen:
    """One question as it is shown."""

    question: Question
    purpose: ReviewPurpose
    item: str
    length: int
    pages: tuple[str, ...]
    numbered: Numbered
    suggestion: str | None
    suggested_set: Chosen | None
    """Where items may have several labels: what is suggested, if that may be shown."""
    chosen: Chosen | None
    """Where items may have several labels: what is ticked."""
    marks: Marks | None
    """Where parts of texts are marked: what is."""
    done: int
    total: int
    agreed: int
    suggested: int
    page: int = 0
    live: bool = True
    note: str = ""

    @property
    def commands(self) -> str:
        """The keys that are a command by themselves."""
        none = "" if self.chosen is None and self.marks is None else NONE
        return ("suq?m" if len(self.pages) > 1 else "suq?") + none

    @property
    def typed(self) -> bool:
        """Whether commands are typed and end with Enter, and not single keys."""
        return self.numbered.typed or self.marks is not None


def screen_of(desk: Desk, question: Question) -> QuestionScreen:
    """The screen of a question, with how the review stands."""
    request, text = desk.request, desk.text(question)
    shown = {each.row: _suggestion(desk, each) for each in request.questions}
    answered = desk.answered()
    suggestion = _suggestion(desk, question)
    suggested_set = decode(suggestion) if desk.spec.several and suggestion is not None else None
    judged = [each for each in answered if each.label is not None and shown.get(each.row)]
    return QuestionScreen(
        question=question,
        purpose=request.purpose,
        item=desk.pool.id(question.row),
        length=len(text),
        pages=tuple(pages(text)),
        numbered=Numbered.of(desk.labels),
        suggestion=suggestion,
        suggested_set=suggested_set,
        chosen=(suggested_set or ()) if desk.spec.several else None,
        marks=_marks(desk, text, suggestion),
        done=len(answered),
        total=len(request.questions),
        agreed=sum(each.label == shown[each.row] for each in judged),
        suggested=len(judged),
    )


def _marks(desk: Desk, text: str, suggestion: str | None) -> Marks | None:
    if not desk.spec.marked:
        return None
    spans = None if suggestion is None else decode_spans(suggestion)
    return Marks(text, spans or (), spans)


def _suggestion(desk: Desk, question: Question) -> str | None:
    """The suggestion, if one may be shown: never where the answer must be the person's own."""
    if desk.request.purpose != "train" or question.suggestion is None:
        return None
    names = names_of(question.suggestion, desk.spec)
    return question.suggestion if all(name in desk.labels for name in names) else None


def _set_keys(screen: QuestionScreen) -> tuple[list[str], str]:
    """What the keys do where items may have several labels."""
    numbers = screen.numbered.numbers
    if not screen.live:
        accept = ["Enter accept"] if screen.suggestion is not None else []
        return [
            *accept,
            f"{NONE} none of them",
        ], f"all numbers in one line ({numbers[0]} {numbers[1]})"
    ticks = f"{numbers[0]}-{numbers[-1]} tick"
    if screen.numbered.typed:
        ticks = "number or part of a name, Enter: tick"
    return ["Enter gives what is ticked", f"{NONE} none of them"], ticks


def part_shown(screen: QuestionScreen) -> str:
    """Which part of a long text is shown."""
    start = sum(len(part) for part in screen.pages[: screen.page])
    end = start + len(screen.pages[screen.page])
    which = f"The first {end:,}" if start == 0 else f"Characters {start + 1:,} to {end:,}"
    return f"{which} of {screen.length:,} characters; m shows more."


def keys_line(screen: QuestionScreen) -> str:
    """What the keys do, in one line."""
    numbers = screen.numbered.numbers
    labels = "number or part of a name, Enter: label"
    if not screen.numbered.typed:
        labels = f"{numbers[0]}-{numbers[-1]} label"
    accept = ["Enter accept"] if screen.suggestion is not None else []
    if screen.chosen is not None:
        accept, labels = _set_keys(screen)
    if screen.marks is not None:
        *accept, labels = keys_of(screen.numbered)
    more = ["m more text"] if "m" in screen.commands else []
    return " · ".join([*accept, labels, "s skip", "u undo", *more, "? help", "q save and pause"])
