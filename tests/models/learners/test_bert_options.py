"""Every option of the BERT learner does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_texts import GOLD, LABELS, SEVERAL, SEVERAL_TEXTS, TEXTS, training
from labelwright.models.encoders import Encoder
from labelwright.models.learners import FitReport, Inputs, bert_model, bert_training
from labelwright.models.learners.bert import BertLearner
from labelwright.models.learners.bert_model import Classifier, open_classifier
from labelwright.models.learners.bert_options import BertOptions
from labelwright.store.errors import UserError

FILLERS = ["", "the", "is", "it was", "and the"]
MANY = [f"{text} {FILLERS[number % 5]}" for number in range(24) for text in TEXTS]
MANY_GOLD = np.tile(GOLD, 24)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bert_training, "SMALLEST_STEPS", 40)


def learner(encoder: Encoder, *, multi_label: bool = False, **options: object) -> BertLearner:
    return BertLearner(
        label_names=LABELS,
        label_texts=LABELS,
        encoder=encoder,
        multi_label=multi_label,
        options=BertOptions(**options),  # type: ignore[arg-type]
    )


def fitted(encoder: Encoder, **options: object) -> tuple[BertLearner, FitReport]:
    found = learner(encoder, **options)
    return found, found.fit(training(None), seed=0)


def sureness(of: BertLearner) -> float:
    return float(of.predict_proba(Inputs(TEXTS, None)).max(axis=1).mean())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "cold"}, "start is 'cold': give one of reset, warm"),
        ({"balance": "even"}, "balance is 'even'"),
        ({"loss": "hinge"}, "loss is 'hinge'"),
        ({"smoothing": 1.0}, "smoothing is 1.0"),
        ({"smoothing": -0.1}, "smoothing is -0.1"),
        ({"frozen_layers": -1}, "frozen_layers is -1"),
    ],
)
def test_strange_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        BertOptions(**options)  # type: ignore[arg-type]


def test_more_frozen_layers_than_there_are_is_refused(tiny: Encoder) -> None:
    with pytest.raises(UserError, match="frozen_layers is 4 for an encoder of 3 layers"):
        learner(tiny, frozen_layers=4).fit(training(None), seed=0)


@pytest.mark.parametrize("frozen", [0, 1, 3])
def test_exactly_the_layers_above_the_frozen_ones_learn(
    tiny: Encoder, tiny_folder: Path, tmp_path: Path, frozen: int
) -> None:
    made, report = fitted(tiny, frozen_layers=frozen)
    made.save(tmp_path)
    assert report.notes[0].startswith(f"{frozen} bottom layers frozen")
    before = open_classifier(str(tiny_folder), LABELS, 0).model.state_dict()
    after = bert_model.reopen_classifier(tmp_path).model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    layers = {int(found[1]) for name in changed if (found := re.search(r"layer\.(\d)", name))}
    assert layers == set(range(frozen, 3))
    assert not any("embeddings" in name for name in changed)
    assert "classifier.weight" in changed


@pytest.mark.parametrize("frozen", [0, 3])
def test_a_saved_model_remembers_its_frozen_layers_and_options(
    tiny: Encoder, tmp_path: Path, frozen: int
) -> None:
    made, _ = fitted(tiny, frozen_layers=frozen, smoothing=0.2)
    made.save(tmp_path)
    from labelwright.models.learners import load_learner

    loaded = load_learner(tmp_path, encoder=tiny)
    assert isinstance(loaded, BertLearner)
    assert loaded.options == made.options
    inputs = Inputs(TEXTS, None)
    np.testing.assert_array_equal(loaded.predict_proba(inputs), made.predict_proba(inputs))
    np.testing.assert_array_equal(loaded.embed(inputs), made.embed(inputs))


def test_weights_are_reset_from_memory(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = fitted(tiny)
    first = made.digest

    def never(*_: object, **__: object) -> Classifier:
        raise AssertionError("read again")

    monkeypatch.setattr(bert_model, "open_classifier", never)
    made.fit(training(None), seed=1)
    assert made.digest != first
    made.fit(training(None), seed=0)
    assert made.digest == first


def test_warm_start_goes_on_from_the_last_fit_in_half_the_steps(tiny: Encoder) -> None:
    made, first = fitted(tiny, start="warm")
    cold, _ = fitted(tiny)
    assert made.digest == cold.digest
    second = made.fit(training(None), seed=0)
    assert (first.steps, second.steps) == (40, 20)
    assert "where the last fit ended" in second.notes[0]
    assert second.loss is not None
    assert first.loss is not None
    assert second.loss < first.loss
    assert made.digest != cold.digest


def test_warm_start_goes_on_from_a_loaded_model(tiny: Encoder, tmp_path: Path) -> None:
    made, _ = fitted(tiny, start="warm")
    made.save(tmp_path)
    from labelwright.models.learners import load_learner

    loaded = load_learner(tmp_path, encoder=tiny)
    report = loaded.fit(training(None), seed=0)
    assert "where the last fit ended" in report.notes[0]
    made.fit(training(None), seed=0)
    assert loaded.digest == made.digest


def test_training_further_leaves_the_model_before_as_it_was(tiny: Encoder) -> None:
    made, _ = fitted(tiny, start="warm")
    before = made._fitted()
    digest = before.digest
    made.fit(training(None), seed=1)
    assert before.digest == digest


class TestEarlyStopping:
    @pytest.fixture(autouse=True)
    def look_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bert_training, "LOOK_EVERY", 4)
        monkeypatch.setattr(bert_training, "PATIENCE", 2)

    def test_stops_where_more_steps_only_learn_by_heart(self, tiny: Encoder) -> None:
        noise = np.random.default_rng(0).integers(0, 4, len(MANY))
        made = learner(tiny, early_stopping=True)
        report = made.fit(training(None, texts=MANY, labels=noise), seed=0)
        found = re.search(r"after (\d+) steps.*of step (\d+).*on (\d+) labelled", report.notes[1])
        assert found is not None
        stopped, best, held = map(int, found.groups())
        assert report.steps == stopped == best + 8 < 70
        assert 35 <= held <= 45

    def test_the_weights_are_the_best_ones(self, tiny: Encoder) -> None:
        noise = np.random.default_rng(0).integers(0, 4, len(MANY))
        rows = training(None, texts=MANY, labels=noise)
        stopping, going_on = learner(tiny, early_stopping=True), learner(tiny)
        stopping.fit(rows, seed=0)
        going_on.fit(rows, seed=0)
        assert sureness(stopping) < sureness(going_on)

    def test_holds_nothing_out_of_few_rows_and_says_so(self, tiny: Encoder) -> None:
        made, report = fitted(tiny, early_stopping=True)
        assert report.notes[1] == ("no early stopping: 9 labelled items, at least 200 are needed")
        assert made.digest == fitted(tiny)[0].digest


@pytest.mark.parametrize("balance", ["weights", "batches"])
def test_balancing_gives_rare_labels_more_chances(tiny: Encoder, balance: str) -> None:
    texts = [*["card bank"] * 30, *["card bank"] * 3]
    labels = np.array([0] * 30 + [1] * 3)
    chances = []
    for way in ("none", balance):
        made = learner(tiny, balance=way)
        made.fit(training(None, texts=texts, labels=labels), seed=0)
        chances.append(made.predict_proba(Inputs(["card bank"], None))[0, 1])
    assert chances[1] > chances[0] + 0.05


def test_less_smoothing_makes_it_surer(tiny: Encoder) -> None:
    assert sureness(fitted(tiny, smoothing=0.0)[0]) > sureness(fitted(tiny, smoothing=0.5)[0])


@pytest.mark.parametrize("options", [{"loss": "reverse_cross_entropy"}, {"mixup": True}])
def test_other_losses_learn_something_else_from_the_same_rows(
    tiny: Encoder, options: dict[str, object]
) -> None:
    made, report = fitted(tiny, **options)
    plain, expected = fitted(tiny)
    assert made.digest != plain.digest
    assert report.steps == expected.steps
    again, _ = fitted(tiny, **options)
    assert again.digest == made.digest
    right = made.predict_proba(Inputs(TEXTS, None)).argmax(axis=1) == GOLD
    assert right.mean() >= 0.6


@pytest.mark.parametrize(
    "options", [{"loss": "reverse_cross_entropy"}, {"mixup": True}, {"small_loss": True}]
)
def test_other_losses_know_several_labels_too(tiny: Encoder, options: dict[str, object]) -> None:
    made = learner(tiny, multi_label=True, **options)
    rows = training(None, texts=SEVERAL_TEXTS * 6, labels=np.tile(SEVERAL, (6, 1)))
    made.fit(rows, seed=0)
    found = made.predict_proba(Inputs(SEVERAL_TEXTS, None))
    assert ((found > 0.5) == (SEVERAL > 0.5)).mean() > 0.8


class TestSmallLoss:
    WRONG = np.arange(0, len(MANY), 8)

    @pytest.fixture
    def weights(self, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
        """The weights of the rows at the end of each training."""
        found: list[np.ndarray] = []
        descend = bert_training._Run.descend

        def watched(run: bert_training._Run, *arguments: object) -> list[float]:
            losses = descend(run, *arguments)  # type: ignore[arg-type]
            found.append(run.weights.numpy().copy())
            return losses

        monkeypatch.setattr(bert_training._Run, "descend", watched)
        return found

    def test_what_is_left_out_is_mostly_wrong(
        self, tiny: Encoder, weights: list[np.ndarray]
    ) -> None:
        given = MANY_GOLD.copy()
        given[self.WRONG] = (given[self.WRONG] + 1) % 3
        made = learner(tiny, small_loss=True)
        report = made.fit(training(None, texts=MANY, labels=given), seed=0)
        left_out = np.flatnonzero(weights[0][: len(MANY)] == 0)
        assert report.notes[1] == f"{len(left_out)} items left out at the end for their high loss"
        right = np.isin(left_out, self.WRONG).mean()
        assert right > 0.7
        assert len(left_out) > 0.5 * len(self.WRONG)
        assert (weights[0][len(MANY) :] > 0).all()

    def test_few_rows_are_all_kept_and_it_says_so(
        self, tiny: Encoder, weights: list[np.ndarray]
    ) -> None:
        _, report = fitted(tiny, small_loss=True)
        assert report.notes[1] == "no item left out: fewer than 50 to train on"
        assert (weights[0] > 0).all()
