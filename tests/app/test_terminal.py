"""The terminal reviewer: on a real pseudo-terminal, line by line, and key by key."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from desks import HOSTILE, LABELS, MANY, make_desk, person, said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelwright.app.screen import SHOWN_CHARACTERS
from labelwright.app.terminal import TerminalReviewer
from labelwright.store.records import Question, ReviewPurpose
from rich.console import Console

# A real terminal -------------------------------------------------------------------------------

SCRIPT = """
import os, sys
from pathlib import Path
if os.isatty(0):
    os.open(os.ttyname(0), os.O_RDWR)  # make it the controlling terminal: Ctrl-C comes from there
from labelwright.app.reviewers import Desk
from labelwright.app.terminal import TerminalReviewer
from labelwright.store.database import Store
from labelwright.store.pool import Pool
from labelwright.store.spec import TaskSpec
from labelwright.store.trace import Place
folder = Path(sys.argv[1])
store, spec = Store.open(folder), TaskSpec.read(folder / "task.yaml")
reviewer = TerminalReviewer(name="ann")
desk = Desk(store, Pool(folder), spec, store.review("v1"), Place("r1", 1, "app"), "ann", "human")
print("REVIEWED", reviewer.review(desk))
"""


class Terminal:
    """A child process on a pseudo-terminal of 40 columns."""

    def __init__(self, folder: Path) -> None:
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (24, 40))
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", "PYTHONUTF8": "1"},
        )

    def wait_for(self, text: str) -> None:
        """Read until `text` came after all that was waited for before."""
        deadline = time.monotonic() + 30
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} did not come: {self.seen!r}"
            if select.select([self.master], [], [], 0.5)[0]:
                self.seen += os.read(self.master, 65_536).decode("utf-8", "replace")
        self.seen = self.seen.split(text, 1)[1]

    def send(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def sit_down() -> Iterator[Callable[[Path], Terminal]]:
    opened: list[Terminal] = []

    def start(folder: Path) -> Terminal:
        opened.append(Terminal(folder))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def test_a_review_on_a_real_terminal_pauses_and_goes_on_without_asking_twice(
    tmp_path: Path, sit_down: Callable[[Path], Terminal]
) -> None:
    desk = make_desk(tmp_path)
    first = sit_down(tmp_path)
    for expected, key in [
        ("first text", "?"),
        ("what bug means", " "),
        ("first text", "1"),
        ("second text", "\r"),
        ("third text", "u"),
        ("second text", "s"),
        ("third text", "q"),
    ]:
        first.wait_for(expected)
        first.wait_for("> " if expected.endswith("text") else "Any key goes back")
        first.send(key)
    first.wait_for("2 of 3 answered and saved.")
    first.wait_for("REVIEWED False")
    assert said(desk) == [
        (0, "label", "billing"),
        (1, "label", "bug"),
        (1, "undo", None),
        (1, "skip", None),
    ]
    assert termios.tcgetattr(first.slave) == first.before

    second = sit_down(tmp_path)
    second.wait_for("third text")
    second.wait_for("> ")
    second.send("3")
    second.wait_for("All 3 questions are answered.")
    second.send("\r")
    second.wait_for("REVIEWED True")
    assert said(desk)[4:] == [(2, "label", "other")]
    assert desk.store.verify() == []


def test_ctrl_c_pauses_without_a_traceback_and_restores_the_terminal(
    tmp_path: Path, sit_down: Callable[[Path], Terminal]
) -> None:
    desk = make_desk(tmp_path)
    terminal = sit_down(tmp_path)
    terminal.wait_for("first text")
    terminal.wait_for("> ")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    terminal.send("2")
    terminal.wait_for("second text")
    terminal.wait_for("> ")
    terminal.send("\x03")
    terminal.wait_for("1 of 3 answered and saved.")
    assert "Traceback" not in terminal.seen
    terminal.wait_for("REVIEWED False")
    assert said(desk) == [(0, "label", "bug")]
    assert termios.tcgetattr(terminal.slave) == terminal.before


def run_lines(folder: Path, lines: bytes) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], input=lines, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_without_a_terminal_there_is_a_command_a_line_and_the_end_pauses(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    shown = run_lines(tmp_path, b"?\n\nnonsense\xff\nBilling\n")
    assert "what bug means" in shown
    assert "is no label" in shown
    assert "\x1b" not in shown
    assert "REVIEWED False" in shown
    assert said(desk) == [(0, "label", "bug"), (1, "label", "billing")]
    # The last answer needs no newline and nothing after it.
    assert "REVIEWED True" in run_lines(tmp_path, b"3")
    assert said(desk)[2:] == [(2, "label", "other")]


# The review ------------------------------------------------------------------------------------


def test_agreement_counts_labels_against_the_suggestions_that_were_shown(tmp_path: Path) -> None:
    questions = (Question(0, "bug"), Question(1, "bug"), Question(2), Question(3, "bug"))
    desk = make_desk(tmp_path, texts=["a", "b", "c", "d"], questions=questions)
    reviewer, shown = person("\n11q")
    assert not reviewer.review(desk)
    screens = shown.getvalue().split("> ")
    assert "agreed" not in screens[0]
    assert "You agreed with 1 of 1 suggestions." in screens[1]
    assert all("You agreed with 1 of 2 suggestions." in screen for screen in screens[2:4])
    reviewer, shown = person("su\nu")
    reviewer.review(desk)
    screens = shown.getvalue().split("> ")
    assert "You agreed with 1 of 2 suggestions." in screens[0]
    assert "All 4 questions are answered." in screens[1]
    assert "You agreed with 1 of 2 suggestions." in screens[1]


def test_nothing_is_suggested_where_the_answer_must_be_the_persons_own(tmp_path: Path) -> None:
    for purpose in ("gold", "audit"):
        desk = make_desk(tmp_path, purpose=purpose, review=purpose)
        reviewer, shown = person("\n1")
        assert not reviewer.review(desk)
        assert "no suggestion is shown" in " ".join(shown.getvalue().split())
        for hidden in ("Suggestion:", "75%", "it broke", "Also possible", "agreed", "*2"):
            assert hidden not in shown.getvalue()
        assert "there is no suggestion to accept" in shown.getvalue()
        assert said(desk) == [(0, "label", "billing")]


def test_the_suggestion_is_shown_with_its_reason_and_confidence(tmp_path: Path) -> None:
    reviewer, shown = person("q")
    reviewer.review(make_desk(tmp_path))
    for part in ("*2 bug", "(confidence 75%)", "Why: like 'it broke'", "Also possible: 1 billing"):
        assert part in shown.getvalue()


def test_a_suggestion_that_is_no_label_any_more_cannot_be_accepted(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, questions=(Question(0, "renamed"),))
    reviewer, shown = person("\nq")
    reviewer.review(desk)
    assert "renamed" not in shown.getvalue()
    assert said(desk) == []


def test_undo_reaches_answers_of_an_earlier_sitting_and_stops_at_none(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    person("12q")[0].review(desk)
    reviewer, shown = person("uuu1q")
    reviewer.review(desk)
    assert said(desk)[2:] == [(1, "undo", None), (0, "undo", None), (0, "label", "billing")]
    assert "there is no answer to take back" in shown.getvalue()


def test_the_last_answer_can_be_taken_back_before_the_batch_is_handed_over(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    assert person("111u3\n")[0].review(desk)
    assert desk.store.standing_answers("v1")[2].label == "other"


def test_a_review_that_is_answered_asks_for_nothing(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    assert not person("sssq")[0].review(desk)
    reviewer, shown = person("")
    assert reviewer.review(desk)
    assert shown.getvalue() == ""


def test_with_many_labels_numbers_are_typed_and_names_narrow_the_list(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, labels=MANY, purpose="gold")
    reviewer, _ = person("12\n" + "/cash\x7f\x7f\x7f\x7fan n\n" + "1\x7f3\n" + "\n")
    assert reviewer.review(desk)
    assert [label for _, _, label in said(desk)] == ["login new", "loan new", "card new"]
    assert desk.store.verify() == []


def test_seventy_seven_labels_fit_on_a_small_screen_and_all_are_in_the_help(tmp_path: Path) -> None:
    labels = [f"{name} number {n}" for n in range(11) for name in "abcdefg"]
    desk = make_desk(tmp_path, labels=labels, purpose="gold")
    reviewer, shown = person("q", width=40, height=24)
    reviewer.review(desk)
    assert shown.getvalue().count("\n") <= 24
    assert "type a part of a name" in shown.getvalue()
    reviewer, shown = person("? q", width=40, height=24)
    reviewer.review(desk)
    assert all(f"{n} {label}: what" in shown.getvalue() for n, label in enumerate(labels, 1))


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    desk = make_desk(tmp_path, texts=["x" * 300, "字" * 300], labels=[*MANY, "very " * 30 + "long"])
    reviewer, shown = person("? 1\n?q", width=width)
    reviewer.review(desk)
    lines = [line.replace("字", "__") for line in shown.getvalue().split("\n")]
    assert max(len(line.removeprefix("> 1").rstrip()) for line in lines) <= width + 2


def test_ctrl_d_is_the_end_of_the_input(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    assert not person("1\x04")[0].review(desk)
    assert len(said(desk)) == 1


def test_the_trace_knows_the_login_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert TerminalReviewer().name == "grace"


def test_a_user_without_a_name_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    assert TerminalReviewer().name == "user 3999999999"


# Untrusted text --------------------------------------------------------------------------------


def test_hostile_text_is_shown_inert(tmp_path: Path) -> None:
    hostile = Question(0, "bug", None, HOSTILE, (HOSTILE,))
    desk = make_desk(tmp_path, texts=[HOSTILE], questions=(hostile,))
    reviewer, shown = person("q", width=200, force_terminal=True, color_system=None)
    reviewer.review(desk)
    screen = shown.getvalue().replace("\x1b[2J\x1b[H", "", 1)
    assert screen.count("␛[2J␛]0;owned␇[red]pay[/red] :smile: <U+009B>31m<U+202E>gnp␍hidden") == 3
    assert "confidence not known" in screen
    assert not set(screen) & set("\x1b\x07\x9b\r\u202e")


def test_a_terminal_that_lacks_a_character_shows_its_escape(tmp_path: Path) -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="latin-1")
    reviewer = TerminalReviewer(
        name="ann", console=Console(file=file, width=60), read_key=lambda: ""
    )
    reviewer.review(make_desk(tmp_path, texts=["né 字"]))
    file.flush()
    assert "né \\u5b57" in raw.getvalue().decode("latin-1")


def test_a_long_text_is_shown_in_parts(tmp_path: Path) -> None:
    text = "a" * SHOWN_CHARACTERS + "b" * (1_000_000 - SHOWN_CHARACTERS)
    reviewer, shown = person("mq")
    reviewer.review(make_desk(tmp_path, texts=[text]))
    first, second = shown.getvalue().split("> ")[:2]
    assert "The first 2,000 of 1,000,000 characters; m shows more." in first
    assert (first.count("a" * 80), second.count("b" * 80)) == (25, 25)
    assert "bbb" not in first
    assert "Characters 2,001 to 4,000 of 1,000,000 characters" in second


# Any keys --------------------------------------------------------------------------------------

KEYS = st.lists(st.sampled_from([*"1239suq?m/a", "\n", "\x7f", "\x1b", "\x1b[A"]), max_size=25)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(keys=KEYS, many=st.booleans(), purpose=st.sampled_from(["train", "gold", "audit"]))
def test_any_keys_leave_the_store_consistent(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], many: bool, purpose: ReviewPurpose
) -> None:
    desk = make_desk(
        tmp_path_factory.mktemp("any"), labels=MANY if many else LABELS, purpose=purpose
    )
    finished = person(keys)[0].review(desk)
    standing = desk.store.standing_answers("v1")
    assert standing.keys() <= {question.row for question in desk.request.questions}
    assert {each.label for each in standing.values()} <= {None, *desk.labels}
    assert not finished or not desk.open_questions()
    assert desk.store.verify() == []
    desk.store.close()
