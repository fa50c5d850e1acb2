"""How the BERT learner trains, for those who want it otherwise than by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ...store.errors import UserError

Start: TypeAlias = Literal["reset", "warm"]
Balance: TypeAlias = Literal["weights", "batches", "none"]
Loss: TypeAlias = Literal["cross_entropy", "reverse_cross_entropy"]
_CHOICES = {"start": Start, "balance": Balance, "loss": Loss}


@dataclass(frozen=True, slots=True)
class BertOptions:
    """What can be chosen about training.

    None of the options that are off by default gained enough to be on (docs/results/noise.md);
    warm starts and drawn batches have not been measured on real data.

    Args:
        frozen_layers: layers that training leaves alone, counted from the embeddings, which are
            always left alone: 0 to all. `None` for a third.
        start: `reset` starts every fit from the encoder's weights, kept in memory. `warm` goes
            on from the model of the last fit (or the loaded one) for half as many steps; the
            first fit is as with `reset`.
        early_stopping: with at least 200 labelled rows, hold out every fifth (evenly over the
            labels), look at their log loss every 25 steps, stop after four looks without a
            better one and go back to the best. With fewer rows nothing is held out, and the
            report says so.
        balance: what is done for labels met rarely. `weights`: rows count in proportion to
            (mean size / size of their label) ** 0.5; `batches`: they are drawn that often
            instead; `none`: nothing.
        loss: `reverse_cross_entropy` is the symmetric cross entropy of Wang et al. 2019
            (Symmetric Cross Entropy for Robust Learning with Noisy Labels), the sum of forward
            and reverse: wrong labels pull less.
        smoothing: share of each label that is spread evenly over all of them (Szegedy et al.
            2016), 0 to below 1.
        mixup: adds to the loss (1) the cross entropy of mixed rows, mixed where the head reads
            them, and (2) the symmetric Kullback-Leibler divergence of two predictions of a row
            with different dropout (after Qiao et al. 2022, SelfMix). Twice the time.
        small_loss: with at least 50 labelled rows, after two epochs and then once an epoch,
            leaves out the rows whose loss is more likely on the high one of two heaps (Li et al.
            2020, DivideMix, section 3.1); with `mixup`, they are mixed under the label that the
            model gives them.

    Raises:
        UserError: a value out of range.
    """

    frozen_layers: int | None = None
    start: Start = "reset"
    early_stopping: bool = False
    balance: Balance = "weights"
    loss: Loss = "cross_entropy"
    smoothing: float = 0.1
    mixup: bool = False
    small_loss: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        for name, choice in _CHOICES.items():
            given, allowed = getattr(self, name), get_args(choice)
            if given not in allowed:
                raise UserError(f"{name} is {given!r}: give one of {', '.join(allowed)}")
        if not 0.0 <= self.smoothing < 1.0:
            raise UserError(f"smoothing is {self.smoothing!r}: give a number from 0 to below 1")
        if self.frozen_layers is not None and self.frozen_layers < 0:
            raise UserError(f"frozen_layers is {self.frozen_layers!r}: give 0 or more")


DEFAULTS = BertOptions()
