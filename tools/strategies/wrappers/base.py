"""What all wrappers share: their canonical text, their random numbers, and how they pass on.

A wrapper is a strategy around another: it narrows, splits or reorders the candidates and lets the
inner one choose. What it does not pass on is never fetched for the inner one, so a wrapper that
narrows a pool by its rows, vectors or texts leaves the rest without a prediction.
"""

from __future__ import annotations

import heapq
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ..base import Candidates, Need, Selection, Strategy

NOTHING_YET: frozenset[Need] = frozenset()


@dataclass(frozen=True, slots=True)
class Wrapper(ABC):
    """A strategy around others; its fields are its arguments, strategies first."""

    called: ClassVar[str]
    # Whether a utility is that of the item by itself: see `ranking`.
    ranks: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The canonical text; `strategy` reads it back. Defaults at the end are left out."""
        given = [(getattr(self, each.name), each.default) for each in fields(self)]
        while given and given[-1][0] == given[-1][1]:
            given.pop()
        return f"{self.called}({', '.join(_spelled(value) for value, _ in given)})"

    @property
    @abstractmethod
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`."""

    @abstractmethod
    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """See `Strategy.select`."""

    def rng(self, seed: int) -> np.random.Generator:
        """Random numbers of its own: the inner strategy starts from the same seed."""
        return np.random.default_rng([seed, zlib.crc32(self.name.encode())])


@dataclass(frozen=True, slots=True)
class Argument:
    """What a wrapper takes at one place: strategies, a number or a word, and its default."""

    name: str
    kind: Literal["strategy", "strategies", "whole", "number", "word"]
    default: Any
    words: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING


def arguments(factory: type[Wrapper]) -> tuple[Argument, ...]:
    """What a wrapper takes, in order, read from its fields."""
    hints = get_type_hints(factory)
    return tuple(_argument(each, hints[each.name]) for each in fields(factory))


def usage(factory: type[Wrapper]) -> str:
    """How it is written, defaults at their places: `subsample(strategy, 5000)`."""
    return f"{factory.called}({', '.join(_used(factory))})"


def no_smaller(wrapper: Wrapper, name: str, least: float) -> None:
    """Raise `UserError` unless that argument is a number of at least `least`."""
    value = getattr(wrapper, name)
    # NaN compares false too.
    if not value >= least:
        raise UserError(f"{wrapper.called} was given {name}={value!r}: give at least {least!r}")


def pass_on(
    ordered: Candidates,
    kept: NDArray[np.int64],
    inner: Strategy,
    k: int,
    seed: int,
    how: str,
) -> Selection:
    """What the inner strategy chooses of some of the candidates, with `how` after its reason."""
    narrowed = ordered if len(kept) == len(ordered) else ordered.at(kept)
    found = inner.select(narrowed, k, seed=seed)
    return replace(found, reason=f"{found.reason} {how}")


def at_least(kept: NDArray[np.int64], least: int, rank: NDArray[np.float32]) -> NDArray[np.int64]:
    """Ascending positions: those kept and, while they are fewer than `least`, the best others.

    Args:
        kept: distinct positions.
        least: at most n.
        rank: how good each of the n items is, shape (n,).
    """
    missing = least - len(kept)
    if missing <= 0:
        return np.sort(kept)
    others = np.setdiff1d(np.arange(len(rank), dtype=np.int64), kept)
    best = others[np.argsort(-rank[others], kind="stable")[:missing]]
    return np.sort(np.concatenate([kept, best]))


def evened(
    have: NDArray[np.int64], room: NDArray[np.int64], k: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Which group each of min(k, sum of room) picks comes from: always the one that has fewest.

    Args:
        have: what each of g groups has already, shape (g,).
        room: how many more each can give, shape (g,).
        k: how many are wanted.
        rng: the order of groups that have equally many.

    Returns:
        Group of each pick in the order of choice; final counts are as even as `room` allows.
    """
    order = rng.permutation(len(have))
    waiting = [(int(have[g]), int(place), int(g)) for place, g in enumerate(order) if room[g]]
    heapq.heapify(waiting)
    left = room.copy()
    found: list[int] = []
    while waiting and len(found) < k:
        held, place, group = heapq.heappop(waiting)
        found.append(group)
        left[group] -= 1
        if left[group]:
            heapq.heappush(waiting, (held + 1, place, group))
    return np.array(found, dtype=np.int64)


def from_groups(
    ordered: Candidates,
    groups: NDArray[np.int64],
    sequence: NDArray[np.int64],
    inner: Strategy,
    seed: int,
) -> Selection:
    """Let the inner strategy choose within each group, and put the picks in the order given.

    Args:
        ordered: n candidates.
        groups: the group of each, shape (n,).
        sequence: the group of each pick, none more often than it has members.
        inner: chooses within a group.
        seed: of each choice.

    Returns:
        A selection whose reason is empty.
    """
    rows = np.empty(len(sequence), dtype=np.int64)
    utilities = np.empty(len(sequence), dtype=np.float32)
    arm: str | None = None
    for group in np.unique(sequence):
        places = np.flatnonzero(sequence == group)
        part = inner.select(ordered.at(np.flatnonzero(groups == group)), len(places), seed=seed)
        rows[places], utilities[places] = part.rows, part.utilities
        arm = part.arm
    return Selection(rows, utilities, "", arm)


def _spelled(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_spelled(each) for each in value)
    return str(getattr(value, "name", value))


def _argument(each: Field[Any], hint: Any) -> Argument:
    if hint is Strategy:
        return Argument(each.name, "strategy", each.default)
    if get_origin(hint) is tuple:
        return Argument(each.name, "strategies", each.default)
    if get_origin(hint) is Literal:
        return Argument(each.name, "word", each.default, get_args(hint))
    return Argument(each.name, "number" if hint is float else "whole", each.default)


def _used(factory: type[Wrapper]) -> Iterator[str]:
    for each in arguments(factory):
        if each.kind == "strategies":
            yield "strategy, strategy, …"
        elif each.kind == "strategy":
            yield "strategy" if each.name == "inner" else each.name
        elif each.default is None:
            yield each.name
        else:
            yield str(each.default)
