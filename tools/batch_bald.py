"""BatchBALD: a batch of items that tell most about the committee together.

Taking the items of largest BALD one by one fills a batch with near copies of one hard item. The
joint mutual information of all labels of the batch with the member counts what they share only
once (Kirsch, van Amersfoort & Gal, "BatchBALD", 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .disagreement import SCRATCH_BYTES, blocks, check_samples
from .uncertainty import Probabilities, shannon

# Items whose gain is renewed at once: few, as most picks are settled by the first ones.
_STEP = 512
# Nats below which it does not matter which item comes next.
_TOLD = 1e-3


@dataclass(frozen=True, slots=True)
class JointBatch:
    """What `batch_bald` chose.

    `picks` are distinct positions of items in the order of choice, shape (min(k, n),); `gains` is
    what each added to the joint mutual information, in nats, so their sum is that of the batch.
    The gains of the first `exact` picks were computed from all possible labels, the others from
    drawn ones.
    """

    picks: NDArray[np.int64]
    gains: NDArray[np.float32]
    exact: int


@dataclass(frozen=True, slots=True)
class _Labels:
    """Possible labels of the items chosen so far: a probability and a posterior over members.

    `mass` (S,) sums to 1; `members` (S, T) are p(member | labels), rows summing to 1.
    """

    mass: NDArray[np.float64]
    members: NDArray[np.float32]
    complete: bool


def batch_bald(
    samples: Probabilities, k: int, *, seed: int, joint: int = 1024, draws: int = 512
) -> JointBatch:
    """Greedily choose k items of largest joint mutual information with the member.

    The gain of item i after a batch B is the conditional mutual information I(y_i; t | y_B) =
    sum_y p(y_B) (H(y_i | y_B) - sum_t p(t | y_B) H(y_i | t)). The sum is over all labellings of B
    while there are at most `joint` of them, and over `draws` labellings drawn from their joint
    distribution after that. Kirsch et al. (section 3.2) estimate the joint entropy from such draws
    and subtract mean_t H(y_i | t); with both terms under the same draws, as here, no gain is
    below 0 and their noise does not add up when the batch has told almost everything.

    Greedy choice is within 1 - 1/e of the best batch, as the objective is submodular (Kirsch et
    al., appendix A). As gains only fall, an item is looked at again only while its last gain is
    not below the best (lazy greedy, Minoux 1978); with drawn labellings that holds up to noise.
    T members hold at most log T nats. Once the batch has told all but 0.001 of them no item can
    add more, and the rest of the batch goes by the last gains that were worked out.

    Equal gains go to the earlier item. Memory beyond the input is at most `SCRATCH_BYTES`, 16
    bytes for each item and 16 T bytes for each labelling, while the number of labellings times C
    is below 2 million.

    Args:
        samples: shape (T, n, C), T >= 2, C >= 2, rows summing to 1.
        k: how many, at least 1; all are chosen when n is smaller.
        seed: for the drawn labellings; the same seed gives the same picks.
        joint: up to how many labellings are summed over, at least 1.
        draws: how many are drawn beyond that, at least 1.

    Returns:
        The picks, their gains, and how many of them are exact.

    Raises:
        UserError: no table of probabilities for each of at least two members, or k, joint or
            draws below 1.
    """
    for name, value in (("k", k), ("joint", joint), ("draws", draws)):
        if value < 1:
            raise UserError(f"{name} is {value!r}: give at least 1")
    checked = check_samples(samples)
    members, items, _ = checked.shape
    rng = np.random.default_rng(seed)
    labels = _Labels(np.ones(1), np.full((1, members), 1 / members, np.float32), complete=True)
    gain = np.full(items, np.inf, dtype=np.float32)
    picks = np.empty(min(k, items), dtype=np.int64)
    gains = np.empty(len(picks), dtype=np.float32)
    exact = 0
    for place in range(len(picks)):
        if place:
            labels = _extended(labels, checked[:, picks[place - 1]], joint, draws, rng)
        # What is left to learn about the member, H(t | y_B), bounds every gain.
        left = float(labels.mass @ shannon(labels.members))
        best = int(np.argmax(gain)) if left < _TOLD else _best(checked, gain, labels)
        picks[place], gains[place] = best, np.clip(gain[best], 0.0, left)
        gain[best] = -np.inf
        exact += labels.complete
    return JointBatch(picks, gains, exact)


def _best(samples: NDArray[np.float32], gain: NDArray[np.float32], labels: _Labels) -> int:
    """The item of largest gain; renews the gains it had to look at, in place."""
    order = np.argsort(-gain, kind="stable")
    best, top = -1, np.float32(-np.inf)
    for part in _parts(samples, len(labels.mass)):
        near = order[part]
        near = near[gain[near] >= max(top, np.finfo(np.float32).min)]
        if not len(near):
            break
        gain[near] = _information(samples[:, near], labels)
        highest = gain[near].max()
        first = int(near[gain[near] == highest].min())
        if highest > top or (highest == top and first < best):
            best, top = first, highest
    return best


def _information(samples: NDArray[np.float32], labels: _Labels) -> NDArray[np.float32]:
    """I(y_i; t | y_B) in nats of each item of `samples` (T, m, C), shape (m,)."""
    members, items, classes = samples.shape
    predicted = labels.members @ samples.reshape(members, items * classes)
    entropy = labels.mass @ shannon(predicted.reshape(-1, items, classes))
    own = (labels.mass @ labels.members) @ shannon(samples)
    found: NDArray[np.float32] = (entropy - own).astype(np.float32)
    return found


def _extended(
    labels: _Labels,
    item: NDArray[np.float32],
    joint: int,
    draws: int,
    rng: np.random.Generator,
) -> _Labels:
    """The labellings with one item more, whose probabilities by member are (T, C)."""
    classes = item.shape[1]
    if labels.complete and len(labels.mass) * classes <= joint:
        every = labels.members[:, None, :] * item.T[None, :, :]
        share = every.sum(axis=2, dtype=np.float64)
        mass = (labels.mass[:, None] * share).ravel()
        # A labelling that cannot come about has no posterior and adds nothing.
        kept = mass > 0
        posterior = every.reshape(len(mass), -1)[kept] / share.ravel()[kept, None]
        return _Labels(mass[kept] / mass[kept].sum(), posterior.astype(np.float32), complete=True)
    start = labels.members
    if labels.complete:
        # One uniform number for all draws keeps each labelling's count within 1 of its due.
        points = (np.arange(draws) + rng.random()) / draws
        drawn = np.searchsorted(np.cumsum(labels.mass), points, side="right")
        start = labels.members[np.minimum(drawn, len(labels.mass) - 1)]
    answer = _drawn(start @ item, rng)
    posterior = start * item.T[answer]
    posterior /= posterior.sum(axis=1, keepdims=True)
    return _Labels(np.full(draws, 1 / draws), posterior, complete=False)


def _drawn(p: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """One class for each row of probabilities (S, C); never one of probability 0."""
    ends = np.cumsum(p, axis=1, dtype=np.float64)
    # In (0, 1]: a point of 0 would fall on a first class of probability 0.
    point = (1.0 - rng.random(len(p))) * ends[:, -1]
    first: NDArray[np.int64] = np.argmax(ends >= point[:, None], axis=1).astype(np.int64)
    return first


def _parts(samples: NDArray[np.float32], rows: int) -> list[slice]:
    """Slices of the items for which `rows` float32 values a class stay within the scratch."""
    _, items, classes = samples.shape
    members = samples.shape[0]
    size = 4 * classes * (3 * rows + 2 * members)
    return list(blocks(items, max(size, SCRATCH_BYTES // _STEP)))
