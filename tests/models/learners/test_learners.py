"""What every learner promises, and what each promises on top."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from labelwright.models.compute import SILENT
from labelwright.models.encoders import Encoder, load_encoder
from labelwright.models.learners import (
    LEARNERS,
    Inputs,
    Learner,
    Training,
    bert_training,
    load_learner,
    make_learner,
)
from labelwright.models.learners.bert_training import Rows, open_classifier, train
from labelwright.models.progress import Progress
from labelwright.store.errors import OperatorError, UserError
from numpy.typing import NDArray

LABELS = ["billing", "bug", "praise", "colour"]
TEXTS = [
    "my card was lost and the money is late",
    "refund my money",
    "the bank paid late",
    "the app screen is slow",
    "login crash",
    "a bug and a crash",
    "thanks it is great",
    "love it",
    "good app and happy",
]
GOLD = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2], dtype=np.int64)


def training(
    encoder: Encoder | None,
    *,
    texts: list[str] = TEXTS,
    labels: NDArray[np.int64] = GOLD,
    weights: NDArray[np.float32] | None = None,
) -> Training:
    vectors = encoder.encode(texts) if encoder else None
    weights = np.ones(len(texts), dtype=np.float32) if weights is None else weights
    return Training(Inputs(texts, vectors), labels, weights)


class LearnerContract:
    """Inherited by the tests of each learner."""

    kind: str

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, tiny: Encoder) -> Learner:
        learner = cls.make(tiny)
        learner.fit(training(tiny), seed=3)
        return learner

    @classmethod
    def make(cls, encoder: Encoder) -> Learner:
        return make_learner(cls.kind, label_names=LABELS, label_texts=LABELS, encoder=encoder)

    def test_is_registered_by_its_name(self, tiny: Encoder) -> None:
        assert self.kind in LEARNERS
        assert self.make(tiny).name == self.kind

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

    def test_same_seed_gives_the_same_digest(self, fitted: Learner, tiny: Encoder) -> None:
        again = self.make(tiny)
        again.fit(training(tiny), seed=3)
        assert again.digest == fitted.digest

    def test_fitting_again_forgets_the_first_fit(self, fitted: Learner, tiny: Encoder) -> None:
        twice = self.make(tiny)
        twice.fit(training(tiny, labels=GOLD[::-1].copy()), seed=9)
        first = twice.digest
        twice.fit(training(tiny), seed=3)
        assert first != fitted.digest
        assert twice.digest == fitted.digest

    def test_comes_back_from_disk_the_same(
        self, fitted: Learner, tiny: Encoder, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path / "new" / "folder")
        loaded = load_learner(tmp_path / "new" / "folder", encoder=tiny)
        assert loaded.digest == fitted.digest
        assert loaded.name == fitted.name
        inputs = Inputs([*TEXTS, ""], None)
        np.testing.assert_array_equal(loaded.predict_proba(inputs), fitted.predict_proba(inputs))

    def test_card_on_disk_names_labels_and_learner(self, fitted: Learner, tmp_path: Path) -> None:
        fitted.save(tmp_path)
        card = json.loads((tmp_path / "labelwright.json").read_text(encoding="utf-8"))
        assert card["learner"] == self.kind
        assert card["label_names"] == LABELS
        assert card["digest"] == fitted.digest

    def test_heavier_rows_count_more(self, tiny: Encoder) -> None:
        texts = ["card bank", "card bank", *TEXTS]
        labels = np.concatenate([[0, 1], GOLD])
        chances = []
        for heavy in (0, 1):
            weights = np.ones(len(texts), dtype=np.float32)
            weights[heavy] = 8.0
            learner = self.make(tiny)
            learner.fit(training(tiny, texts=texts, labels=labels, weights=weights), seed=0)
            chances.append(learner.predict_proba(Inputs(["card bank"], None))[0, 0])
        assert chances[0] > chances[1]

    def test_one_label_alone_can_be_trained(self, tiny: Encoder) -> None:
        learner = self.make(tiny)
        learner.fit(training(tiny, texts=TEXTS[:1], labels=GOLD[:1]), seed=0)
        found = learner.predict_proba(Inputs(TEXTS[:1], None))
        assert found.shape == (1, len(LABELS))
        assert found.argmax() == 0

    def test_two_labels_work_as_well(self, tiny: Encoder) -> None:
        learner = make_learner(
            self.kind, label_names=LABELS[:2], label_texts=LABELS[:2], encoder=tiny
        )
        learner.fit(training(tiny, texts=TEXTS[:6], labels=GOLD[:6]), seed=0)
        found = learner.predict_proba(Inputs(TEXTS[:6], None))
        assert (found.argmax(axis=1) == GOLD[:6]).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)

    @pytest.mark.parametrize("text", ["", " ", "\ud800", "x" * 1_000_000, "card " * 100_000])
    def test_any_text_gets_a_distribution(self, fitted: Learner, text: str) -> None:
        found = fitted.predict_proba(Inputs([text], None))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)

    def test_no_rows_give_no_predictions(self, fitted: Learner) -> None:
        assert fitted.predict_proba(Inputs([], None)).shape == (0, len(LABELS))

    def test_order_of_inputs_is_kept(self, fitted: Learner) -> None:
        forward = fitted.predict_proba(Inputs(TEXTS, None))
        backward = fitted.predict_proba(Inputs(TEXTS[::-1], None))
        np.testing.assert_allclose(forward, backward[::-1], atol=0.01)

    def test_untrained_learner_says_so(self, tiny: Encoder, tmp_path: Path) -> None:
        learner = self.make(tiny)
        with pytest.raises(UserError, match="call fit first"):
            learner.predict_proba(Inputs(TEXTS, None))
        with pytest.raises(UserError, match="call fit first"):
            learner.save(tmp_path)
        with pytest.raises(UserError, match="call fit first"):
            _ = learner.digest

    @pytest.mark.parametrize(
        ("texts", "labels", "weights", "message"),
        [
            (["a", "b"], [0], [1.0, 1.0], "labels have shape"),
            (["a", "b"], [0, 1], [1.0], "weights have shape"),
            (["a", "b"], [0, 4], [1.0, 1.0], "label index 4"),
            (["a", "b"], [0, -1], [1.0, 1.0], "label index -1"),
            (["a", "b"], [0, 1], [1.0, 0.0], "weight 0.0"),
            (["a", "b"], [0, 1], [1.0, float("nan")], "weight nan"),
        ],
    )
    def test_refuses_rows_that_do_not_fit(
        self, tiny: Encoder, texts: list[str], labels: list[int], weights: list[float], message: str
    ) -> None:
        rows = Training(
            Inputs(texts, None),
            np.array(labels, dtype=np.int64),
            np.array(weights, dtype=np.float32),
        )
        with pytest.raises(UserError, match=message):
            self.make(tiny).fit(rows, seed=0)

    def test_refuses_vectors_that_do_not_fit(self, fitted: Learner) -> None:
        with pytest.raises(UserError, match="one row for each text"):
            fitted.predict_proba(Inputs(TEXTS, np.ones((2, 32), dtype=np.float32)))
        with pytest.raises(UserError, match="nan"):
            fitted.predict_proba(Inputs(["a"], np.full((1, 32), np.nan, dtype=np.float32)))

    def test_unwritable_place_is_the_operators_error(self, fitted: Learner, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way", encoding="utf-8")
        with pytest.raises(OperatorError, match="writable"):
            fitted.save(tmp_path / "file")

    def test_random_state_of_others_is_left_alone(self, tiny: Encoder) -> None:
        torch.manual_seed(5)
        np.random.seed(5)
        expected = torch.rand(1).item(), np.random.rand()
        torch.manual_seed(5)
        np.random.seed(5)
        self.make(tiny).fit(training(tiny), seed=1)
        assert (torch.rand(1).item(), np.random.rand()) == expected


class NeedsRows:
    """For learners that cannot start from label texts alone."""

    kind: str

    def test_refuses_to_train_on_nothing(self, tiny: Encoder) -> None:
        learner = make_learner(self.kind, label_names=LABELS, label_texts=LABELS, encoder=tiny)
        with pytest.raises(UserError, match="label at least 1"):
            learner.fit(training(None, texts=[], labels=GOLD[:0]), seed=0)


class TestLinear(LearnerContract):
    kind = "linear"

    def test_without_labels_it_is_zero_shot(self, minilm: Encoder) -> None:
        names = ["sports", "cooking"]
        learner = make_learner("linear", label_names=names, label_texts=names, encoder=minilm)
        report = learner.fit(training(None, texts=[], labels=GOLD[:0]), seed=0)
        found = learner.predict_proba(Inputs(["the match ended two to one", "fry an onion"], None))
        assert found.argmax(axis=1).tolist() == [0, 1]
        assert "no labelled items" in report.notes[0]

    def test_saved_file_is_a_plain_classifier_of_vectors(
        self, fitted: Learner, tiny: Encoder, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path)
        saved = joblib.load(tmp_path / "model.joblib")
        vectors = tiny.encode(TEXTS)
        np.testing.assert_allclose(
            saved["classifier"].predict_proba(vectors),
            fitted.predict_proba(Inputs(TEXTS, vectors)),
            atol=1e-6,
        )
        assert saved["label_names"] == LABELS

    def test_refuses_vectors_of_another_width(self, fitted: Learner, tiny: Encoder) -> None:
        wide = Training(
            Inputs(["a"], np.ones((1, 7), dtype=np.float32)), GOLD[:1], np.ones(1, np.float32)
        )
        with pytest.raises(UserError, match=r"7 columns.*makes 32"):
            self.make(tiny).fit(wide, seed=0)
        with pytest.raises(UserError, match="7 columns"):
            fitted.predict_proba(Inputs(["a"], np.ones((1, 7), dtype=np.float32)))

    def test_refuses_another_encoder(
        self, fitted: Learner, minilm: Encoder, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path)
        with pytest.raises(UserError, match="is not the one"):
            load_learner(tmp_path, encoder=minilm)

    def test_loaded_without_encoder_it_wants_vectors(
        self, fitted: Learner, tiny: Encoder, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path)
        loaded = load_learner(tmp_path, encoder=None)
        vectors = tiny.encode(TEXTS)
        np.testing.assert_array_equal(
            loaded.predict_proba(Inputs(TEXTS, vectors)),
            fitted.predict_proba(Inputs(TEXTS, vectors)),
        )
        with pytest.raises(UserError, match="give vectors"):
            loaded.predict_proba(Inputs(TEXTS, None))


class TestSvm(LearnerContract, NeedsRows):
    kind = "svm"

    def test_says_whether_confidence_was_fitted(self, tiny: Encoder) -> None:
        learner = self.make(tiny)
        few = learner.fit(training(None), seed=0)
        many = learner.fit(training(None, texts=TEXTS * 5, labels=np.tile(GOLD, 5)), seed=0)
        assert "fixed temperature" in few.notes[0]
        assert "fitted" in many.notes[0]

    def test_noisy_labels_lower_its_confidence(self, tiny: Encoder) -> None:
        texts = [f"{text} {number}" for number in range(8) for text in TEXTS]
        clean = np.tile(GOLD, 8)
        noisy = np.random.default_rng(0).integers(0, 3, size=len(texts))
        confidence = []
        for labels in (clean, noisy):
            learner = self.make(tiny)
            learner.fit(training(None, texts=texts, labels=labels), seed=0)
            confidence.append(learner.predict_proba(Inputs(TEXTS, None)).max(axis=1).mean())
        assert confidence[0] > confidence[1] + 0.2

    def test_saved_file_is_a_pipeline_of_texts(self, fitted: Learner, tmp_path: Path) -> None:
        fitted.save(tmp_path)
        saved = joblib.load(tmp_path / "model.joblib")["classifier"]
        np.testing.assert_allclose(
            saved.predict_proba(TEXTS), fitted.predict_proba(Inputs(TEXTS, None)), atol=1e-6
        )

    def test_labels_without_letters_work(self, tiny: Encoder) -> None:
        learner = make_learner("svm", label_names=["+", "-"], label_texts=["+", "-"], encoder=tiny)
        learner.fit(training(None, texts=["", "?"], labels=np.array([0, 1])), seed=0)
        assert learner.predict_proba(Inputs(["?"], None)).argmax() == 1


class TestBert(LearnerContract, NeedsRows):
    kind = "bert"

    def test_folder_loads_with_transformers_alone(self, fitted: Learner, tmp_path: Path) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        fitted.save(tmp_path)
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        tokens = AutoTokenizer.from_pretrained(tmp_path)(TEXTS, padding=True, return_tensors="pt")
        with torch.inference_mode():
            found = model(**tokens).logits.softmax(dim=1).numpy()
        np.testing.assert_allclose(found, fitted.predict_proba(Inputs(TEXTS, None)), atol=0.02)
        assert model.config.id2label == dict(enumerate(LABELS))
        assert model.config.label2id["praise"] == 2

    def test_other_seed_gives_other_weights(self, fitted: Learner, tiny: Encoder) -> None:
        other = self.make(tiny)
        other.fit(training(None), seed=4)
        assert other.digest != fitted.digest

    def test_loaded_model_predicts_without_an_encoder(
        self, fitted: Learner, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path)
        inputs = Inputs(TEXTS, None)
        np.testing.assert_array_equal(
            load_learner(tmp_path, encoder=None).predict_proba(inputs),
            fitted.predict_proba(inputs),
        )

    def test_other_families_than_bert_can_be_trained(self, tiny_distilbert_folder: Path) -> None:
        encoder = load_encoder(str(tiny_distilbert_folder))
        learner = self.make(encoder)
        report = learner.fit(training(None), seed=0)
        assert (learner.predict_proba(Inputs(TEXTS, None)).argmax(axis=1) == GOLD).mean() > 0.6
        assert "at random" in report.notes[0]

    def test_encoder_without_transformer_is_refused(self) -> None:
        class Letters:
            name = "letters"
            digest = "0" * 16
            dim = 1

            def encode(
                self, texts: Sequence[str], *, progress: Progress = SILENT
            ) -> NDArray[np.float32]:
                return np.ones((len(texts), 1), dtype=np.float32)

        with pytest.raises(UserError, match="no transformer"):
            self.make(Letters()).fit(training(None), seed=0)


def test_untrained_head_reads_the_mean_of_all_tokens(tiny_folder: Path, tiny: Encoder) -> None:
    classifier = open_classifier(str(tiny_folder), LABELS, seed=0)
    tokens = classifier.frozen.tokenise(["card bank", "the app is slow"])
    with torch.inference_mode():
        first = classifier.model.base_model(**classifier.frozen.batch(tokens)).last_hidden_state[
            :, 0
        ]
    unit = torch.nn.functional.normalize(first, dim=1).numpy()
    vectors = tiny.encode(["card bank", "the app is slow"])
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    assert (unit * centred).sum(axis=1).min() > 0.98


def test_fine_tuning_leaves_the_frozen_layers_alone(tiny_folder: Path) -> None:
    before = open_classifier(str(tiny_folder), LABELS, seed=0).model.state_dict()
    classifier = open_classifier(str(tiny_folder), LABELS, seed=0)
    gold = np.append(GOLD, 3)
    rows = Rows([*TEXTS, "colour"], gold, np.ones(len(gold), dtype=np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert_training, "SMALLEST_STEPS", 5)
        train(classifier, rows, seed=0, progress=SILENT)
    changed = {
        name
        for name, value in classifier.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert any("layer.2." in name for name in changed)
    assert not any("embeddings" in name or "layer.0." in name for name in changed)
    assert not any("layer.3." in name for name in changed)
