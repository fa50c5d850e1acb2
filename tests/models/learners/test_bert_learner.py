"""What `bert` promises on top of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labelled_texts import GOLD, LABELS, MATCHES, PAIRS, TEXTS, training
from labelwright.models.compute import SILENT
from labelwright.models.encoders import Encoder, load_encoder
from labelwright.models.learners import Inputs, Learner, bert_training, load_learner
from labelwright.models.learners.bert import BertLearner
from labelwright.models.learners.bert_head import dropped_logits
from labelwright.models.learners.bert_model import open_classifier
from labelwright.models.learners.bert_rows import Rows
from labelwright.models.learners.bert_training import train
from labelwright.models.learners.frozen import Frozen
from labelwright.models.pairs import PairEncoder, join_pair
from labelwright.models.progress import Progress
from labelwright.store.errors import UserError
from learner_contract import LearnerContract, NeedsRows
from numpy.typing import NDArray


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """What is to be learned here is learned in fewer steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert_training, "SMALLEST_STEPS", 80)
        yield


class TestBert(LearnerContract, NeedsRows):
    kind = "bert"

    def test_learns_its_training_pairs(self, tiny: Encoder) -> None:
        """What a random encoder of one trained layer can learn of them in a few steps."""
        texts = [join_pair(*pair) for pair in PAIRS]
        learner = self.make(PairEncoder(tiny), names=["match", "no match"])
        learner.fit(training(None, texts=texts, labels=MATCHES), seed=0)
        found = learner.predict_proba(Inputs(texts, None))[:, 0]
        assert found[MATCHES == 0].mean() > found[MATCHES == 1].mean() + 0.05
        vectors = learner.embed(Inputs(texts, None))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_several_labels_load_with_transformers_alone(
        self, fitted_several: Learner, tmp_path: Path
    ) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        fitted_several.save(tmp_path)
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        assert model.config.problem_type == "multi_label_classification"
        tokens = AutoTokenizer.from_pretrained(tmp_path)(TEXTS, padding=True, return_tensors="pt")
        with torch.inference_mode():
            found = model(**tokens).logits.sigmoid().numpy()
        expected = fitted_several.predict_proba(Inputs(TEXTS, None))
        np.testing.assert_allclose(found, expected, atol=0.02)

    def test_vectors_are_the_mean_of_the_last_encoder_layer(self, fitted: Learner) -> None:
        assert isinstance(fitted, BertLearner)
        model = fitted._fitted()
        tokens = model.frozen.batch(model.frozen.tokenise(TEXTS))
        with torch.inference_mode():
            every = model.model.base_model(**tokens, output_hidden_states=True).hidden_states[3]
        mask = tokens["attention_mask"][:, :, None]
        mean = (every * mask).sum(dim=1) / mask.sum(dim=1)
        expected = torch.nn.functional.normalize(mean, dim=1).numpy()
        found = fitted.embed(Inputs(TEXTS, None))
        assert (found * expected).sum(axis=1).min() > 0.999

    def test_vectors_do_not_depend_on_padding(self, fitted: Learner) -> None:
        alone = fitted.embed(Inputs(["login crash"], None))
        beside = fitted.embed(Inputs(["login crash", "the bank paid late " * 20], None))
        np.testing.assert_allclose(alone[0], beside[0], atol=0.01)

    def test_samples_are_heads_with_a_tenth_of_the_features_dropped(self, fitted: Learner) -> None:
        assert isinstance(fitted, BertLearner)
        found = fitted.sample_proba(Inputs(TEXTS, None), 400, seed=0)
        assert 0.0 < found.std(axis=0).mean() < 0.1
        linear = torch.nn.Linear(2, 1)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor([[1.0, 10.0]]))
            linear.bias.zero_()
        drawn = dropped_logits(np.ones((1, 2), np.float32), linear, 2000, 0.1, 0)
        values = np.array([each[0, 0] for each in drawn])
        assert set(np.round(values * 0.9)) <= {0.0, 1.0, 10.0, 11.0}
        assert (values > 11.6).mean() == pytest.approx(0.81, abs=0.03)
        assert values.mean() == pytest.approx(11.0, abs=0.3)

    def test_sampling_runs_the_encoder_once(
        self, fitted: Learner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows: list[int] = []
        states = Frozen.states

        def counted(frozen: Frozen, tokens: Sequence[NDArray[np.int32]]) -> list[NDArray[Any]]:
            rows.append(len(tokens))
            return states(frozen, tokens)

        monkeypatch.setattr(Frozen, "states", counted)
        fitted.sample_proba(Inputs(TEXTS, None), 30, seed=0)
        assert sum(rows) == len(TEXTS)

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
    targets = np.eye(4, dtype=np.float32)[np.append(GOLD, 3)]
    rows = Rows([*TEXTS, "colour"], targets, np.ones(len(targets), dtype=np.float32))
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
