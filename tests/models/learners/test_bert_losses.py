"""The losses by numbers that can be checked by hand."""

from __future__ import annotations

import pytest
import torch
from labelwright.models.learners import bert_losses
from torch import Tensor, nn

ONE_HOT = torch.eye(4)[[0, 2, 3]]
SOFT = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.0]])
SEVERAL = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.3, 1.0, 0.5, 0.0]])


@pytest.fixture
def logits() -> Tensor:
    return torch.randn((3, 4), generator=torch.Generator().manual_seed(0)) * 2


@pytest.mark.parametrize("targets", [ONE_HOT, SOFT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_is_that_of_torch(logits: Tensor, targets: Tensor, smoothing: float) -> None:
    expected = nn.functional.cross_entropy(
        logits, targets, reduction="none", label_smoothing=smoothing
    )
    soft = bert_losses.smoothed(targets, smoothing, multi_label=False)
    torch.testing.assert_close(bert_losses.cross_entropy(logits, soft, multi_label=False), expected)


def test_cross_entropy_of_several_labels_is_the_binary_one(logits: Tensor) -> None:
    expected = nn.functional.binary_cross_entropy_with_logits(logits, SEVERAL, reduction="none")
    found = bert_losses.cross_entropy(logits, SEVERAL, multi_label=True)
    torch.testing.assert_close(found, expected.mean(dim=1))


def test_smoothing_of_several_labels_goes_to_the_other_answer() -> None:
    found = bert_losses.smoothed(SEVERAL[:1], 0.1, multi_label=True)
    torch.testing.assert_close(found, torch.tensor([[0.95, 0.95, 0.05, 0.05]]))


def test_reverse_cross_entropy_is_four_times_what_the_label_lacks(logits: Tensor) -> None:
    lacking = 1.0 - (logits.softmax(dim=1) * ONE_HOT).sum(dim=1)
    found = bert_losses.reverse_cross_entropy(logits, ONE_HOT, multi_label=False)
    torch.testing.assert_close(found, 4.0 * lacking)


def test_a_surely_contradicted_label_pulls_less_in_reverse() -> None:
    pulls = []
    for loss in (bert_losses.cross_entropy, bert_losses.reverse_cross_entropy):
        sure = torch.tensor([[8.0, 0.0, 0.0, 0.0]], requires_grad=True)
        wrong = torch.eye(4)[[1]]
        torch.autograd.backward(loss(sure, wrong, multi_label=False).sum())
        assert sure.grad is not None
        pulls.append(float(sure.grad.norm()))
    assert pulls[1] < 0.05 * pulls[0]


@pytest.mark.parametrize(("targets", "several"), [(SOFT, False), (SEVERAL, True)])
def test_surprise_is_zero_where_the_model_says_what_was_given(
    targets: Tensor, several: bool
) -> None:
    exact = torch.logit(targets, eps=1e-7) if several else targets.clamp_min(1e-9).log()
    found = bert_losses.surprise(exact, targets, multi_label=several)
    torch.testing.assert_close(found, torch.zeros(3), atol=1e-4, rtol=0.0)
    assert (bert_losses.surprise(-exact, targets, multi_label=several) > -1e-6).all()


@pytest.mark.parametrize("several", [False, True])
def test_disagreement_is_symmetric_and_zero_for_equals(logits: Tensor, several: bool) -> None:
    other = logits.flip(0)
    there = bert_losses.disagreement(logits, other, multi_label=several)
    back = bert_losses.disagreement(other, logits, multi_label=several)
    torch.testing.assert_close(there, back)
    assert (there[[0, 2]] > 0).all()
    assert float(bert_losses.disagreement(logits, logits, multi_label=several).abs().max()) < 1e-6


@pytest.mark.parametrize("several", [False, True])
def test_sharpened_targets_are_more_decided(logits: Tensor, several: bool) -> None:
    plain = logits.sigmoid() if several else logits.softmax(dim=1)
    sharp = bert_losses.sharpened(logits, multi_label=several)
    if several:
        assert ((sharp - 0.5).abs() >= (plain - 0.5).abs()).all()
    else:
        torch.testing.assert_close(sharp.sum(dim=1), torch.ones(3))
        assert (sharp.amax(dim=1) > plain.amax(dim=1)).all()


def test_the_first_of_two_mixed_rows_is_the_larger_part() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shares = [bert_losses.mixing_share() for _ in range(50)]
    assert all(0.5 <= share <= 1.0 for share in shares)
    assert max(shares) - min(shares) > 0.2
