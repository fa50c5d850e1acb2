"""The contract of all learners: one template that the tests of each inherit.

    class TestMine(LearnerContract, NeedsRows):
        kind = "mine"

A subclass says by its class variables what its way of training can promise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from labelled_texts import (
    GOLD,
    LABELS,
    MATCHES,
    PAIRS,
    SEVERAL,
    SEVERAL_TEXTS,
    TEXTS,
    mixed,
    rows_of,
    several,
    training,
)
from labelwright.models.encoders import Encoder
from labelwright.models.learners import (
    LEARNERS,
    Inputs,
    Learner,
    Training,
    load_learner,
    make_learner,
)
from labelwright.models.pairs import PairEncoder, join_pair
from labelwright.store.errors import OperatorError, UserError


class LearnerContract:
    """Inherited by the tests of each learner."""

    kind: ClassVar[str]
    # How far probabilities may be apart that should be the same, rounding apart.
    tolerance: ClassVar[float] = 1e-4
    # How far the mean of many samples may be from the prediction: what the draws spread over.
    sampling_tolerance: ClassVar[float] = 0.15

    @classmethod
    def make(
        cls, encoder: Encoder, *, names: list[str] = LABELS, multi_label: bool = False
    ) -> Learner:
        return make_learner(
            cls.kind, label_names=names, label_texts=names, encoder=encoder, multi_label=multi_label
        )

    @classmethod
    def load(cls, folder: Path, encoder: Encoder | None) -> Learner:
        return load_learner(folder, encoder=encoder)

    @classmethod
    def fit(
        cls, encoder: Encoder, rows: Training, *, seed: int = 0, multi_label: bool = False
    ) -> Learner:
        learner = cls.make(encoder, multi_label=multi_label)
        learner.fit(rows, seed=seed)
        return learner

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, tiny: Encoder) -> Learner:
        return cls.fit(tiny, training(tiny), seed=3)

    @pytest.fixture(scope="class")
    @classmethod
    def fitted_several(cls, tiny: Encoder) -> Learner:
        return cls.fit(tiny, several(tiny), seed=3, multi_label=True)

    @pytest.fixture(params=["one label", "several labels"])
    @classmethod
    def either(
        cls, request: pytest.FixtureRequest, fitted: Learner, fitted_several: Learner
    ) -> Learner:
        return fitted if request.param == "one label" else fitted_several

    def test_is_registered_by_its_name(self, tiny: Encoder) -> None:
        assert self.kind in LEARNERS
        assert self.make(tiny).name == self.kind

    # --- predicting ---------------------------------------------------------------------------

    def test_gives_each_row_a_distribution_over_all_labels(self, fitted: Learner) -> None:
        found = fitted.predict_proba(Inputs([*TEXTS, "green"], None))
        assert found.shape == (len(TEXTS) + 1, len(LABELS))
        assert found.dtype == np.float32
        assert (found >= 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)

    def test_learns_its_training_rows(self, fitted: Learner) -> None:
        assert (fitted.predict_proba(Inputs(TEXTS, None)).argmax(axis=1) == GOLD).all()

    def test_knows_a_label_without_examples_by_its_text(self, fitted: Learner) -> None:
        found = fitted.predict_proba(Inputs(["colour", *TEXTS], None))[:, 3]
        assert found[0] > found[1:].max()

    def test_one_label_alone_can_be_trained(self, tiny: Encoder) -> None:
        learner = self.fit(tiny, training(tiny, texts=TEXTS[:1], labels=GOLD[:1]))
        found = learner.predict_proba(Inputs(TEXTS[:1], None))
        assert found.shape == (1, len(LABELS))
        assert found.argmax() == 0

    def test_two_labels_work_as_well(self, tiny: Encoder) -> None:
        learner = self.make(tiny, names=LABELS[:2])
        learner.fit(training(tiny, texts=TEXTS[:6], labels=GOLD[:6]), seed=0)
        found = learner.predict_proba(Inputs(TEXTS[:6], None))
        assert (found.argmax(axis=1) == GOLD[:6]).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)

    @pytest.mark.parametrize("text", ["", " ", "\ud800", "x" * 1_000_000, "card " * 100_000])
    def test_any_text_gets_a_distribution_and_a_vector(self, fitted: Learner, text: str) -> None:
        found = fitted.predict_proba(Inputs([text], None))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(fitted.embed(Inputs([text], None))), 1, atol=1e-5)

    def test_no_rows_give_no_predictions(self, either: Learner) -> None:
        nothing = Inputs([], None)
        assert either.predict_proba(nothing).shape == (0, len(LABELS))
        assert either.sample_proba(nothing, 3, seed=0).shape == (3, 0, len(LABELS))
        width = either.embed(Inputs(TEXTS, None)).shape[1]
        assert either.embed(nothing).shape == (0, width)

    def test_order_of_inputs_is_kept(self, either: Learner) -> None:
        forward, backward = Inputs(TEXTS, None), Inputs(TEXTS[::-1], None)
        for look in (either.predict_proba, either.embed):
            np.testing.assert_allclose(look(forward), look(backward)[::-1], atol=0.01)

    # --- seeds --------------------------------------------------------------------------------

    def test_same_seed_gives_the_same_digest(self, either: Learner, tiny: Encoder) -> None:
        multi_label = either.multi_label
        rows = several(tiny) if multi_label else training(tiny)
        again = self.fit(tiny, rows, seed=3, multi_label=multi_label)
        assert again.digest == either.digest

    def test_fitting_again_forgets_the_first_fit(self, fitted: Learner, tiny: Encoder) -> None:
        twice = self.fit(tiny, training(tiny, labels=GOLD[::-1].copy()), seed=9)
        first = twice.digest
        twice.fit(training(tiny), seed=3)
        assert first != fitted.digest
        assert twice.digest == fitted.digest

    def test_random_state_of_others_is_left_alone(self, tiny: Encoder) -> None:
        torch.manual_seed(5)
        np.random.seed(5)
        expected = torch.rand(1).item(), np.random.rand()
        torch.manual_seed(5)
        np.random.seed(5)
        learner = self.fit(tiny, training(tiny), seed=1)
        learner.sample_proba(Inputs(TEXTS, None), 3, seed=1)
        assert (torch.rand(1).item(), np.random.rand()) == expected

    # --- weights and soft labels --------------------------------------------------------------

    def test_heavier_rows_count_more(self, tiny: Encoder) -> None:
        texts = ["card bank", "card bank", *TEXTS]
        labels = np.concatenate([[0, 1], GOLD])
        chances = []
        for heavy in (0, 1):
            weights = np.ones(len(texts), dtype=np.float32)
            weights[heavy] = 8.0
            learner = self.fit(tiny, training(tiny, texts=texts, labels=labels, weights=weights))
            chances.append(learner.predict_proba(Inputs(["card bank"], None))[0, 0])
        assert chances[0] > chances[1]

    def test_sure_soft_labels_are_hard_labels(self, fitted: Learner, tiny: Encoder) -> None:
        soft = self.fit(tiny, training(tiny, labels=mixed(1.0)), seed=3)
        np.testing.assert_allclose(
            soft.predict_proba(Inputs(TEXTS, None)),
            fitted.predict_proba(Inputs(TEXTS, None)),
            atol=self.tolerance,
        )

    def test_less_sure_labels_give_less_sure_predictions(self, tiny: Encoder) -> None:
        chances = []
        for share in (0.4, 0.7, 1.0):
            learner = self.fit(tiny, training(tiny, labels=mixed(share)))
            found = learner.predict_proba(Inputs(TEXTS, None))
            chances.append(found[np.arange(len(GOLD)), GOLD].mean())
        assert chances[0] < chances[1] < chances[2]

    def test_soft_label_leads_to_its_likelier_label(self, tiny: Encoder) -> None:
        inputs = Inputs(["card bank"], None)
        first = self.fit(tiny, rows_of("card bank", [0.7, 0.3, 0.0, 0.0])).predict_proba(inputs)[0]
        second = self.fit(tiny, rows_of("card bank", [0.3, 0.7, 0.0, 0.0])).predict_proba(inputs)[0]
        assert first[0] > second[0]
        assert first[1] < second[1]
        assert min(first[:2].sum(), second[:2].sum()) > 0.5

    # --- several labels an item ---------------------------------------------------------------

    def test_says_whether_an_item_may_have_several_labels(
        self, fitted: Learner, fitted_several: Learner
    ) -> None:
        assert (fitted.multi_label, fitted_several.multi_label) == (False, True)

    def test_several_labels_are_each_learned(self, fitted_several: Learner) -> None:
        found = fitted_several.predict_proba(Inputs(SEVERAL_TEXTS, None))
        assert found.dtype == np.float32
        assert ((found >= 0) & (found <= 1)).all()
        positive, negative = found[SEVERAL == 1], found[:, :3][SEVERAL[:, :3] == 0]
        # Each text of each label above all that lack it would be more than a contract can ask.
        assert (positive[:, None] > negative[None]).mean() > 0.95

    def test_text_of_two_labels_has_both(self, fitted_several: Learner) -> None:
        found = fitted_several.predict_proba(Inputs(SEVERAL_TEXTS[9:11], None))
        assert found[:, :2].sum(axis=1).min() > 1.05
        assert found[:, :2].min() > found[:, 2:].max()

    def test_label_that_nothing_has_yet_keeps_a_chance(self, fitted_several: Learner) -> None:
        found = fitted_several.predict_proba(Inputs(["colour", *SEVERAL_TEXTS], None))[:, 3]
        assert np.isfinite(found).all()
        assert found[0] > 0
        assert found[0] > np.median(found[1:])

    def test_label_that_everything_has_is_likely(self, tiny: Encoder) -> None:
        targets = np.zeros((9, 4), dtype=np.float32)
        targets[np.arange(9), GOLD] = 1.0
        targets[:, 3] = 1.0
        learner = self.fit(tiny, training(tiny, labels=targets), multi_label=True)
        assert learner.predict_proba(Inputs(TEXTS, None))[:, 3].min() > 0.5

    def test_items_without_any_label_can_be_trained(self, tiny: Encoder) -> None:
        learner = self.fit(
            tiny, training(tiny, labels=np.zeros((9, 4), dtype=np.float32)), multi_label=True
        )
        assert learner.predict_proba(Inputs(TEXTS, None)).max() < 0.5

    # --- vectors ------------------------------------------------------------------------------

    def test_vectors_have_length_one_and_say_the_same_twice(self, either: Learner) -> None:
        found = either.embed(Inputs([*TEXTS, "", TEXTS[0]], None))
        assert found.dtype == np.float32
        assert len(found) == len(TEXTS) + 2
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        assert found[0] @ found[-1] > 0.999
        assert found[0] @ found[7] < 0.999

    # --- samples ------------------------------------------------------------------------------

    def test_samples_are_distributions_that_differ(self, either: Learner) -> None:
        found = either.sample_proba(Inputs(TEXTS, None), 5, seed=1)
        assert found.shape == (5, len(TEXTS), len(LABELS))
        assert found.dtype == np.float32
        assert ((found >= 0) & (found <= 1)).all()
        if not either.multi_label:
            np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)
        assert found.std(axis=0).max() > 1e-4

    def test_samples_follow_their_seed(self, either: Learner) -> None:
        inputs = Inputs(TEXTS, None)
        first, again, other = (either.sample_proba(inputs, 4, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 1e-4

    def test_samples_of_parts_are_the_parts_of_the_samples(self, either: Learner) -> None:
        whole = either.sample_proba(Inputs(TEXTS, None), 4, seed=1)
        parts = [
            either.sample_proba(Inputs(TEXTS[part], None), 4, seed=1)
            for part in (slice(0, 2), slice(2, None))
        ]
        np.testing.assert_allclose(whole, np.concatenate(parts, axis=1), atol=0.01)

    def test_samples_spread_around_the_prediction(self, either: Learner) -> None:
        inputs = Inputs(TEXTS, None)
        mean = either.sample_proba(inputs, 200, seed=0).mean(axis=0)
        apart = np.abs(mean - either.predict_proba(inputs)).max()
        assert apart < self.sampling_tolerance

    @pytest.mark.parametrize("samples", [0, -1])
    def test_refuses_less_than_one_sample(self, fitted: Learner, samples: int) -> None:
        with pytest.raises(UserError, match=f"samples.*{samples}"):
            fitted.sample_proba(Inputs(TEXTS, None), samples, seed=0)

    # --- pairs --------------------------------------------------------------------------------

    def test_learns_its_training_pairs(self, tiny: Encoder) -> None:
        encoder = PairEncoder(tiny)
        texts = [join_pair(*pair) for pair in PAIRS]
        learner = self.make(encoder, names=["match", "no match"])
        learner.fit(training(encoder, texts=texts, labels=MATCHES), seed=0)
        found = learner.predict_proba(Inputs(texts, encoder.encode(texts)))
        assert (found.argmax(axis=1) == MATCHES).all()
        vectors = learner.embed(Inputs(texts, encoder.encode(texts)))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    # --- disk ---------------------------------------------------------------------------------

    def test_comes_back_from_disk_the_same(
        self, either: Learner, tiny: Encoder, tmp_path: Path
    ) -> None:
        either.save(tmp_path / "new" / "folder")
        loaded = self.load(tmp_path / "new" / "folder", tiny)
        assert (loaded.digest, loaded.name) == (either.digest, either.name)
        assert loaded.multi_label == either.multi_label
        inputs = Inputs([*TEXTS, ""], None)
        for look in (
            lambda learner: learner.predict_proba(inputs),
            lambda learner: learner.embed(inputs),
            lambda learner: learner.sample_proba(inputs, 3, seed=7),
        ):
            np.testing.assert_array_equal(look(loaded), look(either))

    def test_loaded_learner_can_be_trained_again(
        self, either: Learner, tiny: Encoder, tmp_path: Path
    ) -> None:
        either.save(tmp_path)
        loaded = self.load(tmp_path, tiny)
        loaded.fit(several(tiny) if either.multi_label else training(tiny), seed=3)
        assert loaded.digest == either.digest

    def test_card_on_disk_names_labels_and_learner(self, either: Learner, tmp_path: Path) -> None:
        either.save(tmp_path)
        card = json.loads((tmp_path / "labelwright.json").read_text(encoding="utf-8"))
        assert card["learner"] == self.kind
        assert card["label_names"] == LABELS
        assert card["multi_label"] is either.multi_label
        assert card["digest"] == either.digest

    def test_unwritable_place_is_the_operators_error(self, fitted: Learner, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way", encoding="utf-8")
        with pytest.raises(OperatorError, match="writable"):
            fitted.save(tmp_path / "file")

    # --- errors -------------------------------------------------------------------------------

    def test_untrained_learner_says_so(self, tiny: Encoder, tmp_path: Path) -> None:
        learner, inputs = self.make(tiny), Inputs(TEXTS, None)
        for ask in (
            lambda: learner.predict_proba(inputs),
            lambda: learner.embed(inputs),
            lambda: learner.sample_proba(inputs, 2, seed=0),
            lambda: learner.save(tmp_path),
            lambda: learner.digest,
        ):
            with pytest.raises(UserError, match="call fit first"):
                ask()

    @pytest.mark.parametrize(
        ("labels", "weights", "message"),
        [
            ([0], [1.0, 1.0], "labels have shape"),
            ([0, 1], [1.0], "weights have shape"),
            ([0, 4], [1.0, 1.0], "label index 4"),
            ([0, -1], [1.0, 1.0], "label index -1"),
            ([0, 1], [1.0, 0.0], "weight 0.0"),
            ([0, 1], [1.0, float("nan")], "weight nan"),
            ([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], "labels have shape"),
            ([[1, 0, 0, 0.5], [0, 1, 0, 0]], [1.0, 1.0], "row 0 sum to 1.5"),
            ([[1, 0, 0, 0], [0, 1.5, -0.5, 0]], [1.0, 1.0], "target 1.5"),
            ([[1, 0, 0, 0], [0, float("nan"), 0, 0]], [1.0, 1.0], "target nan"),
        ],
    )
    def test_refuses_rows_that_do_not_fit(
        self, tiny: Encoder, labels: list[object], weights: list[float], message: str
    ) -> None:
        kind = np.float32 if isinstance(labels[0], list) else np.int64
        rows = training(
            None,
            texts=["a", "b"],
            labels=np.array(labels, dtype=kind),
            weights=np.array(weights, dtype=np.float32),
        )
        with pytest.raises(UserError, match=message):
            self.make(tiny).fit(rows, seed=0)

    def test_items_with_several_labels_need_targets(self, tiny: Encoder) -> None:
        with pytest.raises(UserError, match="give 4 targets"):
            self.make(tiny, multi_label=True).fit(training(tiny), seed=0)

    def test_refuses_vectors_that_do_not_fit(self, fitted: Learner) -> None:
        for look in (
            fitted.predict_proba,
            fitted.embed,
            lambda inputs: fitted.sample_proba(inputs, 2, seed=0),
        ):
            with pytest.raises(UserError, match="one row for each text"):
                look(Inputs(TEXTS, np.ones((2, 32), dtype=np.float32)))
            with pytest.raises(UserError, match="nan"):
                look(Inputs(["a"], np.full((1, 32), np.nan, dtype=np.float32)))


class NeedsRows:
    """For learners that cannot start from label texts alone."""

    kind: ClassVar[str]

    def test_refuses_to_train_on_nothing(self, tiny: Encoder) -> None:
        learner = make_learner(self.kind, label_names=LABELS, label_texts=LABELS, encoder=tiny)
        with pytest.raises(UserError, match="label at least 1"):
            learner.fit(training(None, texts=[], labels=GOLD[:0]), seed=0)
