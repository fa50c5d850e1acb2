"""Everything a person may get wrong: one line that names the place and the fix, nothing written."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import harness
import pytest
from labelwright.app.project import Project
from labelwright.store.events import GoalEvent

Cli = Callable[..., harness.Said]
GOAL = "Sort into fruit, tool or animal"
PLAIN = [("red apple", "fruit"), ("steel hammer", "tool"), ("wild horse", "animal")]
BASE: dict[str, Any] = {
    "goal": GOAL,
    "id_column": None,
    "gold_column": "kind",
    "labels_from_gold": None,
    "learner": "linear",
    "human_labels": 12,
}


def rows(count: int = 30) -> list[tuple[str, str]]:
    """So many short texts with their labels."""
    return [(f"{text} number {n}", kind) for n in range(count) for text, kind in [PLAIN[n % 3]]]


def write(
    path: Path, found: Sequence[Sequence[str]], head: Sequence[str] = ("text", "kind")
) -> str:
    """Write a CSV file and give back its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(found)
    return str(path)


class Refuses:
    """Runs the command line on bad input and checks what every refusal has in common."""

    def __init__(self, cli: Cli, folder: Path) -> None:
        self._cli, self.folder = cli, folder

    def __call__(self, data: str | Path, *says: str, **changed: Any) -> None:
        before = harness.contents(self.folder)
        args = harness.arguments(Path(data), self.folder / "project", **{**BASE, **changed})
        said = self._cli(*args)
        assert said.code == 2, said
        assert said.out == "" or "Project" not in said.out
        for each in says:
            assert each in said.error_line, said
        assert harness.contents(self.folder) == before
        assert not (self.folder / "project").exists()
        assert not list(self.folder.glob(".*"))


@pytest.fixture
def refuses(cli: Cli, tmp_path: Path) -> Refuses:
    """See `Refuses`."""
    return Refuses(cli, tmp_path)


# --- the file -----------------------------------------------------------------------------------


def test_missing_file(refuses: Refuses, tmp_path: Path) -> None:
    refuses(tmp_path / "nowhere.csv", "nowhere.csv", "does not exist", "--data")


def test_empty_file(refuses: Refuses, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    refuses(tmp_path / "empty.csv", "empty.csv", "is empty")


def test_only_a_header(refuses: Refuses, tmp_path: Path) -> None:
    refuses(write(tmp_path / "head.csv", []), "head.csv", "no rows")


def test_no_such_column(refuses: Refuses, tmp_path: Path) -> None:
    data = write(tmp_path / "d.csv", rows())
    refuses(data, "d.csv", "'texts'", "did you mean 'text'", text_columns=["texts"])
    refuses(data, "d.csv", "'gold'", "--gold-column", gold_column="gold")
    refuses(data, "d.csv", "'key'", "--id-column", id_column="key")


def test_a_column_with_all_nulls(refuses: Refuses, tmp_path: Path) -> None:
    data = write(tmp_path / "d.csv", [("", kind) for _, kind in rows()])
    refuses(data, "d.csv", "'text'", "blank in every row", "--text-column")


def test_a_binary_file(refuses: Refuses, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    refuses(tmp_path / "d.csv", "d.csv", "PNG")


def test_broken_utf8_names_the_row(refuses: Refuses, tmp_path: Path, cli: Cli) -> None:
    text = "text,kind\n" + "".join(f"{text},{kind}\n" for text, kind in rows())
    raw = text.encode().replace(b"red apple number 6", b"caf\xe9 number 6")
    (tmp_path / "d.csv").write_bytes(raw)
    refuses(tmp_path / "d.csv", "d.csv", "row 7", "--encoding")
    helped = harness.arguments(tmp_path / "d.csv", tmp_path / "project", **BASE, encoding="latin-1")
    assert cli(*helped, "--json").json["status"] == "finished"


def test_ragged_rows(refuses: Refuses, tmp_path: Path) -> None:
    lines = [list(row) for row in rows()]
    lines[4].append("one too many")
    refuses(write(tmp_path / "d.csv", lines), "d.csv", "row 5")


def test_duplicated_ids(refuses: Refuses, tmp_path: Path) -> None:
    lines = [(f"i{n % 29}", *row) for n, row in enumerate(rows())]
    data = write(tmp_path / "d.csv", lines, ("id", "text", "kind"))
    refuses(data, "d.csv", "'i0'", "row 1 and again in row 30")


def test_a_gold_value_outside_the_labels(refuses: Refuses, tmp_path: Path) -> None:
    data = write(tmp_path / "d.csv", [*rows(), ("blue whale", "animals")])
    refuses(data, "d.csv", "'animals'", "row 31", "did you mean 'animal'")


def test_three_items_are_too_few(refuses: Refuses, tmp_path: Path) -> None:
    refuses(write(tmp_path / "d.csv", rows(3)), "d.csv", "3 items", "at least 10")


# --- labels and options -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"goal": "Sort these"}, ("names no labels", "--labels")),
        ({"goal": "   "}, ("the goal is empty",)),
        ({"labels": "fruit"}, ("1 label", "'fruit'", "at least two")),
        ({"labels": "fruit,tool,Fruit"}, ("'Fruit' twice", "remove one")),
        ({"labels": "fruit: a; tool: b; fruit: c"}, ("'fruit' twice",)),
        ({"human_labels": 0}, ("--human-labels 0", "at least 10")),
        ({"human_labels": -3}, ("--human-labels", "-3")),
        ({"usd": 0}, ("--usd 0.0", "more than 0")),
        ({"minutes": 0}, ("--minutes 0.0", "more than 0")),
        ({"minutes": "nan"}, ("--minutes nan",)),
        ({"target_accuracy": 95}, ("--target-accuracy 95.0", "0.95")),
        ({"target_accuracy": 0}, ("--target-accuracy 0.0",)),
        ({"confidence_level": 1.5}, ("--confidence-level 1.5",)),
        ({"reviewer_error_rate": 2}, ("--reviewer-error-rate 2.0",)),
        ({"label_price": -1}, ("--label-price -1.0",)),
        ({"policy": "llm"}, ("--policy llm", "--llm")),
        ({"gold_column": None}, ("--reviewer simulated", "--gold-column")),
        ({"gold_column": None, "labels_from_gold": True, "reviewer": "none"}, ("--gold-column",)),
        ({"labels": "fruit,tool,animal", "labels_from_gold": True}, ("exclude each other",)),
        ({"encoding": "klingon"}, ("'klingon'", "--encoding")),
        ({"label_price": None, "usd": 3}, ("--usd limits nothing", "--label-price")),
    ],
    ids=str,
)
def test_options_that_cannot_be(
    changed: dict[str, Any], says: tuple[str, ...], refuses: Refuses, tmp_path: Path
) -> None:
    refuses(write(tmp_path / "d.csv", rows()), *says, **changed)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["run"], "Missing argument 'GOAL'"),
        (["run", GOAL], "Missing option '--data'"),
        (["run", GOAL, "--data", "d.csv", "--learner", "magic"], "'magic' is not one of"),
        (["run", GOAL, "--data", "d.csv", "--seed", "-1"], "--seed"),
        (["run", GOAL, "--data", "d.csv", "--usd", "much"], "'much' is not a valid float"),
        (["launch"], "No such command 'launch'"),
        (["status"], "Missing argument 'PROJECT'"),
    ],
)
def test_a_command_that_is_typed_wrongly_shows_its_usage(
    args: list[str], says: str, cli: Cli
) -> None:
    said = cli(*args)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Usage: ")
    assert says in said.err


# --- the project folder -------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_project_folder_that_exists(what: str, tmp_path: Path, cli: Cli) -> None:
    place = tmp_path / "project"
    if what == "folder":
        place.mkdir()
        (place / "mine.txt").write_text("keep me")
    else:
        place.write_text("keep me")
    data = write(tmp_path / "d.csv", rows())
    before = harness.contents(tmp_path)
    said = cli(*harness.arguments(Path(data), place, **BASE))
    assert said.code == 2
    assert str(place) in said.error_line
    assert "exists" in said.error_line
    assert "--project" in said.error_line
    assert harness.contents(tmp_path) == before


@pytest.mark.parametrize("command", ["resume", "status", "review", "audit", "export"])
@pytest.mark.parametrize("what", ["nothing", "empty"])
def test_a_folder_that_is_no_project(command: str, what: str, tmp_path: Path, cli: Cli) -> None:
    place = tmp_path / "here"
    if what == "empty":
        place.mkdir()
    said = cli(command, str(place))
    assert said.code == 2
    assert str(place) in said.error_line
    assert "labelwright run" in said.error_line
    assert harness.contents(tmp_path) == {}


def test_a_database_that_is_none(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "labelwright.db").write_bytes(b"these are not the pages you look for" * 100)
    said = cli("status", str(tmp_path))
    assert said.code == 2
    assert "labelwright.db" in said.error_line


# --- unusual, but fine --------------------------------------------------------------------------


def finished(cli: Cli, data: str, folder: Path, **changed: Any) -> tuple[list[dict[str, Any]], str]:
    """The labels of a run that must succeed, and the notes that its trace begins with."""
    said = cli(*harness.arguments(Path(data), folder, **{**BASE, **changed}))
    assert said.code == 0, said
    with closing(Project(folder)) as project:
        goal = next(e.event for e in project.store.events() if isinstance(e.event, GoalEvent))
        assert project.verify() == []
        return project.labels().to_pylist(), " ".join(goal.notes)


def test_a_megabyte_in_one_cell_is_kept_whole_and_told(tmp_path: Path, cli: Cli) -> None:
    giant = "apple " * 180_000
    data = write(tmp_path / "d.csv", [*rows(), (giant, "fruit")])
    labels, notes = finished(cli, data, tmp_path / "project")
    assert labels[30]["text"] == giant
    assert "row 31" in notes
    assert "read only the first part" in notes
    with (tmp_path / "project" / "exports" / "labels.csv").open(newline="") as file:
        csv.field_size_limit(10_000_000)
        assert list(csv.reader(file))[31][1] == giant


def test_nul_bytes_are_replaced_and_told(tmp_path: Path, cli: Cli) -> None:
    text = "text,kind\n" + "".join(f"{text},{kind}\n" for text, kind in rows())
    (tmp_path / "d.csv").write_bytes(text.replace("wild horse number 5", "wild\0horse").encode())
    labels, notes = finished(cli, str(tmp_path / "d.csv"), tmp_path / "project")
    assert labels[5]["text"] == "wild\ufffdhorse"
    assert "NUL" in notes
    assert "row 6" in notes


def test_spreadsheet_formulas_are_neutralised_in_csv_only(tmp_path: Path, cli: Cli) -> None:
    formula = '=HYPERLINK("http://example.com","apple")'
    data = write(tmp_path / "d.csv", [*rows(), (formula, "fruit")])
    labels, _ = finished(cli, data, tmp_path / "project")
    assert labels[30]["text"] == formula
    with (tmp_path / "project" / "exports" / "labels.csv").open(newline="") as file:
        cell = list(csv.reader(file))[31][1]
    assert cell == f"'{formula}"


def test_ten_items_are_enough(tmp_path: Path, cli: Cli) -> None:
    labels, _ = finished(cli, write(tmp_path / "d.csv", rows(10)), tmp_path / "project")
    assert len(labels) == 10


def test_a_project_folder_may_have_a_strange_name(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "ein Ordner [rot] ünï #?%"
    labels, _ = finished(cli, write(tmp_path / "d.csv", rows()), folder)
    assert len(labels) == 30
