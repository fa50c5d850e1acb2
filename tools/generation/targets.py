"""For which labels to write, and how many texts of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...store.errors import UserError
from .material import Material

UNKNOWN = 0.5
"""Weight of a label whose F1 on gold is not known."""


def targets(material: Material, method: str, k: int, labels: Sequence[str] = ()) -> list[str]:
    """The label of each of k texts.

    `minority` fills up the labels with fewest training items until they are level. `weak_spots`
    and `contrast` share by 1 - F1 on gold. All others share equally.

    Args:
        material: counts and F1 of the labels.
        method: how the texts are written.
        k: how many, at least 1.
        labels: write for these only; all where there are none.

    Raises:
        UserError: a label that is not one of the task's.
    """
    strange = [label for label in labels if label not in material.labels]
    if strange:
        raise UserError(
            f"label {strange[0]!r} is not one of the task's: use {', '.join(material.labels)}"
        )
    names = list(dict.fromkeys(labels)) or list(material.labels)
    if method == "minority":
        shares = levelled({name: material.counts()[name] for name in names}, k)
    elif method in ("weak_spots", "contrast"):
        shares = in_proportion({name: _weakness(material, name) for name in names}, k)
    else:
        shares = in_proportion(dict.fromkeys(names, 1.0), k)
    return [name for name in names for _ in range(shares[name])]


def levelled(counts: Mapping[str, int], k: int) -> dict[str, int]:
    """How many of each to add, k in all, so that the smallest counts become level."""
    added = dict.fromkeys(counts, 0)
    for _ in range(k):
        least = min(counts, key=lambda name: counts[name] + added[name])
        added[least] += 1
    return added


def in_proportion(weights: Mapping[str, float], k: int) -> dict[str, int]:
    """K shared out by weight, by largest remainders; equally where all weights are 0."""
    total = sum(weights.values())
    exact = {
        name: k * (weight / total if total else 1 / len(weights))
        for name, weight in weights.items()
    }
    shares = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in rest[: k - sum(shares.values())]:
        shares[name] += 1
    return shares


def _weakness(material: Material, name: str) -> float:
    value = material.f1.get(name)
    return UNKNOWN if value is None else 1.0 - value
