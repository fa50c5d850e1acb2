"""The CSV of learning curves: one line a measurement, a whole curve or nothing of it.

A finished curve is appended in one write that is on disk before the next one starts. Whatever a
kill leaves behind, reading keeps the complete curves only, so a second start draws what is missing
and ends with the same file. Beside it `settings.json` holds what all curves of the file share.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from ..store.errors import OperatorError, UserError
from .curve_cells import WHOLE_POOL, Cell, Plan, Point

CSV_NAME = "curves.csv"
SETTINGS_NAME = "settings.json"
COLUMNS = (
    "data",
    "learner",
    "strategy",
    "seed",
    "labels",
    "accuracy",
    "macro_f1",
    "fit_seconds",
    "score_seconds",
    "select_seconds",
)

Curves = dict[Cell, list[Point]]


class CurveFile:
    """The curves in a folder.

    Args:
        folder: made if absent.
        plan: how long a complete curve is.
        settings: what else all curves of the folder share, as JSON values.

    Raises:
        UserError: the folder holds curves of other settings.
        OperatorError: the folder cannot be written.
    """

    def __init__(self, folder: Path, plan: Plan, settings: Mapping[str, Any]) -> None:
        self.path = folder / CSV_NAME
        self._plan = plan
        mine = {**{each.name: getattr(plan, each.name) for each in fields(plan)}, **settings}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._same_settings(folder / SETTINGS_NAME, mine)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def read(self) -> Curves:
        """The complete curves; each of the others, and a line cut short, is as if not there.

        Raises:
            UserError: the file is no file of curves.
        """
        if not self.path.exists():
            return {}
        whole, _, _ = self.path.read_text(encoding="utf-8").rpartition("\n")
        rows = list(csv.reader(io.StringIO(whole)))
        if rows and tuple(rows[0]) != COLUMNS:
            raise UserError(
                f"{str(self.path)!r} starts with {','.join(rows[0])!r}: move it away or give "
                "another folder"
            )
        found: Curves = {}
        for row in rows[1:]:
            cell, point = _parse(row, self.path)
            found.setdefault(cell, []).append(point)
        return {cell: points for cell, points in found.items() if self._complete(cell, points)}

    def append(self, cell: Cell, points: Sequence[Point]) -> None:
        """Add one finished curve; it is on disk when this returns.

        Raises:
            OperatorError: the file cannot be written.
        """
        text = _lines({cell: list(points)})
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            with os.fdopen(descriptor, "ab", buffering=0) as file:
                file.write(text.encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.path.parent, error) from error

    def write(self, curves: Curves) -> None:
        """Put these curves, in order of their cells, in place of the file.

        Raises:
            OperatorError: the file cannot be written.
        """
        aside = self.path.with_suffix(".part")
        text = ",".join(COLUMNS) + "\n" + _lines(dict(sorted(curves.items())))
        try:
            with aside.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path)
        except OSError as error:
            raise _unwritable(self.path.parent, error) from error

    def _complete(self, cell: Cell, points: Sequence[Point]) -> bool:
        if cell.strategy == WHOLE_POOL:
            return len(points) == 1
        return [point.labels for point in points] == self._plan.labels()

    def _same_settings(self, place: Path, mine: Mapping[str, Any]) -> None:
        if not place.exists():
            place.write_text(json.dumps(mine, indent=2) + "\n", encoding="utf-8")
            return
        try:
            theirs = json.loads(place.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{str(place)!r} is no JSON ({error}): give another folder") from error
        other = [name for name in mine if theirs.get(name) != mine[name]]
        if other:
            name = other[0]
            raise UserError(
                f"the curves in {str(place.parent)!r} have {name} {theirs.get(name)!r} and not "
                f"{mine[name]!r}: give the same, or another folder"
            )


def _lines(curves: Curves) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for cell, points in curves.items():
        for point in points:
            seconds = [f"{each:.4f}" for each in (point.fit, point.score, point.select)]
            scores = [f"{each:.5f}" for each in (point.accuracy, point.macro_f1)]
            writer.writerow([*astuple(cell), point.labels, *scores, *seconds])
    return text.getvalue()


def _parse(row: Sequence[str], place: Path) -> tuple[Cell, Point]:
    try:
        data, learner, strategy, seed, labels, *numbers = row
        accuracy, macro_f1, fit, score, select = (float(each) for each in numbers)
        cell = Cell(data, learner, strategy, int(seed))
        return cell, Point(int(labels), accuracy, macro_f1, fit, score, select)
    except ValueError as error:
        raise UserError(
            f"{str(place)!r} has the line {','.join(row)!r}: take it out or give another folder"
        ) from error


def _unwritable(folder: Path, error: OSError) -> OperatorError:
    return OperatorError(
        f"curves cannot be kept in {str(folder)!r} ({error}): give a writable folder"
    )
