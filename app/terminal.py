"""The terminal reviewer: one question a screen, answered with one key.

Works over ssh, at 40 columns and without colour; where standard input is not a terminal it reads
one command a line. Every answer is saved before the next question is shown, so the review can
stop anywhere: with `q`, Ctrl-C, a closed pipe or a lost connection.
"""

from __future__ import annotations

import getpass
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from ..graphs.state import ApprovalAnswer
from ..store.errors import UserError
from ..store.records import AnnotatorKind, Question, ReviewPurpose
from ..store.spans import shown as shown_spans
from ..store.spec import TaskSpec
from .approving import ask_approval
from .keys import ENTER, Keyboard, Numbered, ReadKey, press, standard_keyboard
from .screen import SHOWN_CHARACTERS, Display, percent
from .terminal_question import QuestionScreen, keys_line, part_shown, screen_of
from .terminal_sets import NONE, Chosen, confirmed, from_line, named, toggled
from .terminal_spans import changed, lines_of, page_of, saved
from .terminal_spans import confirmed as confirmed_marks

if TYPE_CHECKING:
    from .reviewers import Desk

OTHER_ROWS = 16
"""Screen rows kept for all but the labels when there are many."""
BAR_WIDTH = 20

PURPOSES: dict[ReviewPurpose, str] = {
    "train": "Your answers train the classifier.",
    "gold": "Your answers set how far machine labels are trusted: "
    "no suggestion is shown, so that your answer is your own.",
    "audit": "Your answers certify the quality of the labels: "
    "no suggestion is shown, so that your answer is your own.",
}


class TerminalReviewer:
    """A person at a terminal."""

    kind: AnnotatorKind = "human"

    def __init__(
        self,
        *,
        name: str | None = None,
        console: Console | None = None,
        read_key: ReadKey | None = None,
    ) -> None:
        """Review as `name`.

        Args:
            name: how the trace calls the person; by default the user's login name.
            console: where questions are shown; by default standard output.
            read_key: gives one key a call and "" at the end; by default standard input is read,
                key by key if it is a terminal and line by line if not.
        """
        self.name = name or _login_name()
        self._display = Display(console or Console())
        self._read_key = read_key

    def review(self, desk: Desk) -> bool:
        """Ask the open questions; `False` pauses the run, with all answers saved."""
        if not desk.open_questions():
            return True
        try:
            with self._keyboard() as keyboard:
                self._ask_all(desk, keyboard)
            finished = True
        except (EOFError, KeyboardInterrupt):
            finished = False
        total = len(desk.request.questions)
        done = total - len(desk.open_questions())
        self._display.say(f"\n{done} of {total} answered and saved.")
        return finished

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        """Ask whether the task spec or a decision may go ahead; `None` pauses the run."""
        try:
            with self._keyboard() as keyboard:
                return ask_approval(payload, spec, self.name, keyboard, self._display)
        except (EOFError, KeyboardInterrupt):
            self._display.say("")
            return None

    def _keyboard(self) -> AbstractContextManager[Keyboard]:
        return nullcontext(Keyboard(self._read_key)) if self._read_key else standard_keyboard()

    def _ask_all(self, desk: Desk, keyboard: Keyboard) -> None:
        note = ""
        while waiting := desk.open_questions() or self._last_look(desk, keyboard):
            note = self._ask(
                desk, replace(screen_of(desk, waiting[0]), note=note, live=keyboard.live), keyboard
            )

    def _ask(self, desk: Desk, screen: QuestionScreen, keyboard: Keyboard) -> str:
        """Ask until something was recorded; says what, for the next screen."""
        while True:
            command = self._command(screen, keyboard)
            screen = replace(screen, note="")
            if command == "q":
                raise EOFError
            if command == "?":
                self._help(desk.spec, screen.numbered, keyboard)
            elif command == "m" and "m" in screen.commands:
                screen = replace(screen, page=(screen.page + 1) % len(screen.pages))
            else:
                try:
                    other = _changed(screen, command, keyboard)
                    if other is None:
                        return _obey(desk, screen, command, narrowed=keyboard.live)
                    screen = other
                except UserError as error:
                    screen = replace(screen, note=str(error))

    def _last_look(self, desk: Desk, keyboard: Keyboard) -> list[Question]:
        """Before single keys hand a batch over, let the last slip be taken back."""
        if not keyboard.live:
            return []
        self._display.clear()
        self._display.say(f"All {len(desk.request.questions)} questions are answered.", "bold")
        self._display.say("Enter hands the answers over · u undo · q save and pause", "dim")
        while (key := keyboard.key()) not in (ENTER, "u"):
            if key == "q":
                raise EOFError
        undone = desk.undo() if key == "u" else None
        return [undone] if undone else []

    def _command(self, screen: QuestionScreen, keyboard: Keyboard) -> str:
        """One complete command for the question on the screen."""
        if not keyboard.live:
            self._show(screen, "")
            command = keyboard.line(self._display.echo)
            self._display.say("")
            return command or ""
        typed, complete = "", False
        while not complete:
            self._display.clear()
            self._show(screen, typed)
            key = keyboard.key()
            typed, complete = press(typed, key, screen.commands, many=screen.typed)
        return typed

    def _show(self, screen: QuestionScreen, typed: str) -> None:
        say = self._display.say
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=screen.total, completed=screen.done, width=BAR_WIDTH)
        head.add_row(bar, self._display.text(f"{screen.done}/{screen.total} answered"))
        self._display.console.print(head)
        if screen.suggested:
            say(f"You agreed with {screen.agreed} of {screen.suggested} suggestions.", "dim")
        say(PURPOSES[screen.purpose], "dim")
        say(f"\nItem {screen.item}", "dim")
        self._text(screen)
        if len(screen.pages) > 1:
            say(part_shown(screen), "yellow")
        self._labels(screen, typed)
        if screen.suggestion is not None:
            self._suggestion(screen, screen.suggestion)
        say(keys_line(screen), "dim")
        if screen.note:
            say(screen.note, "yellow")
        say(f"> {typed}", end="")

    def _text(self, screen: QuestionScreen) -> None:
        """The page of the text, with the marks on it if there are any."""
        part = screen.pages[screen.page]
        if screen.marks is None:
            self._display.say(f"{part}\n")
            return
        start = sum(len(each) for each in screen.pages[: screen.page])
        types = screen.numbered.labels
        self._display.console.print(page_of(self._display, screen.marks, types, start, part))
        self._display.say("")

    def _labels(self, screen: QuestionScreen, typed: str) -> None:
        """The labels; of many as many as fit, narrowed by what is typed."""
        numbered, say = screen.numbered, self._display.say
        if screen.marks is not None:
            for line in lines_of(screen.marks, numbered):
                say(line)
            return
        if not numbered.typed:
            for label in numbered.labels:
                if screen.chosen is not None:
                    on = label in screen.chosen
                    say(f"[{'x' if on else ' '}] {numbered.named(label)}", "bold" if on else "")
                    continue
                mark = "*" if label == screen.suggestion else " "
                say(f"{mark}{numbered.named(label)}", "bold" if mark == "*" else "")
            return
        if screen.chosen is not None:
            say(f"Ticked: {named(screen.chosen, numbered)}", "bold")
        console = self._display.console
        cells = [self._display.text(numbered.named(each)) for each in numbered.matching(typed)]
        width = min(max((cell.cell_len for cell in cells), default=1), console.width - 2)
        for cell in cells:
            cell.truncate(width, overflow="ellipsis")
        fit = max(4, console.height - OTHER_ROWS) * max(1, console.width // (width + 2))
        console.print(Columns(cells[:fit], width=width, padding=(0, 2), column_first=True))
        if len(cells) > fit:
            say(f"and {len(cells) - fit} more: type a part of a name, or ? for all", "dim")
        elif not cells:
            say("No label contains that: Esc begins again.", "yellow")

    def _suggestion(self, screen: QuestionScreen, label: str) -> None:
        question, numbered, say = screen.question, screen.numbered, self._display.say
        shown = numbered.named(label)
        if screen.suggested_set is not None:
            shown = named(screen.suggested_set, numbered)
        if screen.marks is not None:
            shown = shown_spans(label)
        say(f"Suggestion: {shown} ({percent(question.confidence)})", "green")
        if question.rationale:
            say(f"Why: {question.rationale[:SHOWN_CHARACTERS]}")
        others = [numbered.named(each) for each in question.alternatives if each != label]
        if others:
            say(f"Also possible: {', '.join(others)}")

    def _help(self, spec: TaskSpec, numbered: Numbered, keyboard: Keyboard) -> None:
        """The guidelines and what the labels mean."""
        say = self._display.say
        if keyboard.live:
            self._display.clear()
        say(spec.goal, "bold")
        say(f"{spec.guidelines or 'There are no guidelines for this task.'}\n")
        for label in spec.labels:
            say(numbered.named(label.name) + (f": {label.definition}" if label.definition else ""))
        if keyboard.live:
            say("\nAny key goes back to the question.", "dim")
            keyboard.key()


def _login_name() -> str:
    """The user's login name; the number of one without a name, as containers have them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _changed(screen: QuestionScreen, command: str, keyboard: Keyboard) -> QuestionScreen | None:
    """The screen after a command that ticks or marks something; `None` for an answer."""
    if command in ("", "s", "u", NONE):
        return None
    if screen.marks is not None:
        marks, note = changed(screen.marks, screen.numbered, command)
        return replace(screen, marks=marks, note=note)
    if screen.chosen is not None and keyboard.live:
        return replace(screen, chosen=toggled(screen.chosen, screen.numbered, command))
    return None


def _set_of(screen: QuestionScreen, command: str, *, live: bool) -> Chosen:
    """The set of labels that a command answers with."""
    if live:
        return confirmed(screen.chosen or (), screen.suggested_set, command)
    return from_line(command, screen.numbered, screen.suggested_set)


def _obey(desk: Desk, screen: QuestionScreen, command: str, *, narrowed: bool) -> str:
    """Record what a command says and return it in words.

    Raises:
        UserError: it says nothing that can be recorded.
    """
    if command == "s":
        desk.skip(screen.question)
        return "Skipped; u takes it back."
    if command == "u":
        undone = desk.undo()
        if undone is None:
            raise UserError("there is no answer to take back")
        return f"Took back the answer for item {desk.pool.id(undone.row)}."
    if screen.chosen is not None:
        chosen = _set_of(screen, command, live=narrowed)
        desk.answer(screen.question, chosen)
        return f"Saved {', '.join(chosen) or 'none of the labels'}; u takes it back."
    if screen.marks is not None:
        spans = confirmed_marks(screen.marks, command)
        desk.answer(screen.question, spans)
        return f"Saved, {saved(spans)}; u takes it back."
    if command:
        label = screen.numbered.choose(command, narrowed=narrowed)
    elif screen.suggestion is not None:
        label = screen.suggestion
    else:
        raise UserError("there is no suggestion to accept: choose a label")
    desk.answer(screen.question, label)
    return f"Saved {label}; u takes it back."
