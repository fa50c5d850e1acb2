"""Answers that models or people once gave, read from a file: an honest stand-in for asking them.

The file is JSON lines, one object an item. The item is its `text`, or its `tokens` joined by
spaces. The answers of the model NAME are found, whichever of these a line has:

- `llm: {NAME: answer, …}`, or `llm: answer` for the NAME `llm`;
- `crowd: [answer, …]`: person number i has the NAME `crowd/i`, from 0;
- `model: NAME, answers: [answer, …]`: several answers of one model, one for each sample.

Beside `F.jsonl` a file `F_seconds.json` may say how long each model took: `{NAME: "… 12.5
seconds"}`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ....store.errors import UserError
from ...compute import encodable
from ..base import Failure, Reply, Request

FORM = "replay:FILE#NAME, as in replay:recorded.jsonl#gpt-4o"
SHOWN = 60
Answers = dict[str, list[Any]]
"""Recorded answers by the text of their item, the first one for sample 0."""


class ReplayBackend:
    """Gives recorded answers, as they were recorded: what was unusable then is so again.

    An answer goes out as `{"label": answer}` where the request's schema has a field `label`, as
    it is otherwise. A recorded `null` is an answer too, one that no schema accepts. Replayed
    answers use no tokens and cost nothing.
    """

    batch = 256
    concurrency = 1
    price_of = None

    def __init__(self, file: Path, model: str) -> None:
        """Replay `model`, whose answers are read from `file` now.

        Raises:
            UserError: the file is missing or has another form, or nobody of that name is in it.
        """
        self.name = f"replay:{file}#{model}"
        self._answers, others = _read(file, model)
        if not self._answers:
            shown = ", ".join(sorted(others)[:SHOWN])
            raise UserError(
                f"--llm {self.name!r}: {model!r} is not in the file: use one of {shown}"
            )
        # By content: answers kept from an older version of the file are not this file's.
        self.identity = f"replay:{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}#{model}"
        self.seconds = _seconds(file, model)
        """How long the model took for the whole file, where that was recorded."""

    def __len__(self) -> int:
        return len(self._answers)

    async def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer each request, in order; see `Backend.complete`."""
        return [self._one(request) for request in requests]

    def count(self, request: Request) -> int:
        """Nothing is read by anybody: 0."""
        return 0

    async def close(self) -> None:
        """Nothing is held."""

    def _one(self, request: Request) -> Reply | Failure:
        recorded = self._answers.get(request.item)
        if recorded is None:
            return Failure("request", f"no answer was recorded for {request.item[:SHOWN]!r}")
        if request.sample >= len(recorded):
            return Failure(
                "request",
                f"{len(recorded)} answers were recorded for {request.item[:SHOWN]!r}: there is no "
                f"sample {request.sample}",
            )
        answer = recorded[request.sample]
        if request.schema is not None and "label" in request.schema.model_fields:
            answer = {"label": answer}
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        return Reply(encodable(text))


def replayed(rest: str) -> ReplayBackend:
    """The back end of what stands after `replay:`.

    Raises:
        UserError: it is not FILE#NAME, or see `ReplayBackend`.
    """
    file, mark, model = rest.rpartition("#")
    if not mark or not file or not model:
        raise UserError(f"--llm 'replay:{rest}': write {FORM}")
    return ReplayBackend(Path(file), model)


def _read(file: Path, model: str) -> tuple[Answers, set[str]]:
    """The answers of one model, and the names that occur.

    Where a text occurs twice, its first line counts.
    """
    answers: Answers = {}
    names: set[str] = set()
    for number, row in _rows(file):
        item = row.get("text")
        if item is None and isinstance(row.get("tokens"), list):
            item = " ".join(map(str, row["tokens"]))
        if not isinstance(item, str):
            raise UserError(f"{str(file)!r}, line {number}: neither `text` nor `tokens` is there")
        found = _by_name(row)
        names.update(found)
        if model in found:
            answers.setdefault(item, found[model])
    return answers, names


def _by_name(row: dict[str, Any]) -> Answers:
    """Everybody's answers to one item."""
    found: Answers = {}
    recorded = row.get("llm")
    if isinstance(recorded, dict):
        found |= {name: [answer] for name, answer in recorded.items()}
    elif "llm" in row:
        found["llm"] = [recorded]
    if isinstance(row.get("crowd"), list):
        found |= {f"crowd/{place}": [answer] for place, answer in enumerate(row["crowd"])}
    if isinstance(row.get("model"), str) and isinstance(row.get("answers"), list):
        found[row["model"]] = row["answers"]
    return found


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise UserError(f"{str(file)!r}, line {number} is no JSON object")
                yield number, row
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f"--llm: the recorded answers {str(file)!r} cannot be read ({error.strerror}); {FORM}"
        ) from None
    except ValueError as error:
        raise UserError(f"{str(file)!r} is not JSON lines in UTF-8: {error}") from None


def _seconds(file: Path, model: str) -> float | None:
    beside = file.with_name(f"{file.stem}_seconds.json")
    if not beside.exists():
        return None
    try:
        said = json.loads(beside.read_text(encoding="utf-8")).get(model)
    except (ValueError, AttributeError):
        raise UserError(f"{str(beside)!r} is no JSON object of names and seconds") from None
    number = re.search(r"\d+(\.\d+)?", str(said))
    return float(number[0]) if said is not None and number else None
