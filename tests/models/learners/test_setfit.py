"""The `setfit` learner: the contract of all learners, and what it promises on top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pytest
import torch
from labelled_texts import GOLD, LABELS, MATCHES, PAIRS, TEXTS, training
from labelwright.models.compute import SILENT
from labelwright.models.encoders import Encoder, load_encoder
from labelwright.models.learners import Inputs, Learner, make_learner, setfit_training
from labelwright.models.learners.setfit_body import Body, open_body
from labelwright.models.learners.setfit_training import Items, contrast
from labelwright.models.learners.states import FrozenLayers, States
from labelwright.models.pairs import PairEncoder, join_pair
from labelwright.models.progress import Progress
from labelwright.store.errors import UserError
from learner_contract import LearnerContract, NeedsRows
from numpy.typing import NDArray


class TestSetFit(LearnerContract, NeedsRows):
    kind: ClassVar[str] = "setfit"
    # Soft targets and indices draw the same batches; sums in float32 differ in the last bit.
    tolerance: ClassVar[float] = 1e-3

    def test_folder_is_a_sentence_transformer_and_a_classifier(
        self, fitted: Learner, tmp_path: Path
    ) -> None:
        from sentence_transformers import SentenceTransformer

        fitted.save(tmp_path)
        body = SentenceTransformer(str(tmp_path), local_files_only=True)
        vectors = body.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
        np.testing.assert_allclose(vectors, fitted.embed(Inputs(TEXTS, None)), atol=0.02)
        saved = joblib.load(tmp_path / "head" / "model.joblib")
        assert saved["label_names"] == LABELS
        np.testing.assert_allclose(
            saved["classifier"].predict_proba(vectors),
            fitted.predict_proba(Inputs(TEXTS, None)),
            atol=0.02,
        )

    def test_loaded_model_predicts_without_an_encoder(
        self, fitted: Learner, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path)
        inputs = Inputs(TEXTS, None)
        np.testing.assert_array_equal(
            self.load(tmp_path, None).predict_proba(inputs), fitted.predict_proba(inputs)
        )

    def test_same_labels_come_nearer_than_in_the_encoder(
        self, tiny: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The random weights of the tiny encoder take larger steps than those of a trained one.
        monkeypatch.setattr(setfit_training, "LEARNING_RATE", 5e-3)
        same = GOLD[:, None] == GOLD[None]
        learner = self.fit(tiny, training(tiny))
        before, after = tiny.encode(TEXTS), learner.embed(Inputs(TEXTS, None))
        gap = [
            (vectors @ vectors.T)[same].mean() - (vectors @ vectors.T)[~same].mean()
            for vectors in (before, after)
        ]
        assert gap[1] > gap[0] + 0.2

    def test_encoder_stays_as_it_is(self, tiny: Encoder) -> None:
        before = tiny.encode(TEXTS)
        self.fit(tiny, training(tiny))
        np.testing.assert_array_equal(tiny.encode(TEXTS), before)

    def test_other_seed_gives_other_weights(self, fitted: Learner, tiny: Encoder) -> None:
        assert self.fit(tiny, training(tiny), seed=4).digest != fitted.digest

    def test_other_families_than_bert_can_be_trained(self, tiny_distilbert_folder: Path) -> None:
        learner = self.fit(load_encoder(str(tiny_distilbert_folder)), training(None))
        assert (learner.predict_proba(Inputs(TEXTS, None)).argmax(axis=1) == GOLD).mean() > 0.6

    def test_pairs_of_one_label_alone_leave_the_encoder_as_it_is(self, tiny: Encoder) -> None:
        encoder = PairEncoder(tiny)
        texts = [join_pair(*pair) for pair in PAIRS[:5]]
        learner = self.make(encoder, names=["match", "no match"])
        report = learner.fit(training(None, texts=texts, labels=MATCHES[:5]), seed=0)
        assert (report.steps, report.loss) == (0, None)
        assert "left as it is" in report.notes[0]
        np.testing.assert_allclose(
            learner.embed(Inputs(texts, None)), encoder.encode(texts), atol=0.02
        )

    def test_model_of_pairs_comes_back_from_disk_the_same(
        self, tiny: Encoder, tmp_path: Path
    ) -> None:
        texts = [join_pair(*pair) for pair in PAIRS]
        learner = self.make(PairEncoder(tiny), names=["match", "no match"])
        learner.fit(training(None, texts=texts, labels=MATCHES), seed=0)
        learner.save(tmp_path)
        inputs = Inputs([*texts, "no pair"], None)
        np.testing.assert_array_equal(
            self.load(tmp_path, None).predict_proba(inputs), learner.predict_proba(inputs)
        )
        np.testing.assert_allclose(np.linalg.norm(learner.embed(inputs), axis=1), 1, atol=1e-5)

    @pytest.mark.parametrize("lost", ["model.safetensors", "config.json", "head/model.joblib"])
    def test_damaged_folder_is_refused(self, fitted: Learner, tmp_path: Path, lost: str) -> None:
        fitted.save(tmp_path)
        place = tmp_path / lost
        place.write_bytes(place.read_bytes()[:50])
        with pytest.raises(UserError, match="train and save it again"):
            self.load(tmp_path, None)

    def test_head_of_another_body_is_refused(self, fitted: Learner, tmp_path: Path) -> None:
        fitted.save(tmp_path)
        place = tmp_path / "1_Pooling" / "config.json"
        place.write_text(place.read_text(encoding="utf-8").replace('"mean"', '"max"'), "utf-8")
        with pytest.raises(UserError, match="is not the one"):
            self.load(tmp_path, None)

    def test_kept_states_are_used_and_change_nothing(self, fitted: Learner, tiny: Encoder) -> None:
        kept = Kept(TEXTS)
        learner = self.make(tiny)
        rows = training(tiny)
        learner.fit(type(rows)(Inputs(TEXTS, None, kept), rows.labels, rows.weights), seed=3)
        found = learner.predict_proba(Inputs(TEXTS, None, kept))
        assert kept.opened == 3
        np.testing.assert_allclose(found, fitted.predict_proba(Inputs(TEXTS, None)), atol=0.02)

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


class Kept:
    """Keeps states as a project does, and counts how often they are asked for."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.opened = 0
        self.lengths = np.empty(0, dtype=np.int64)
        self._rows: list[NDArray[np.uint16]] = []

    def open(self, frozen: FrozenLayers) -> States:
        if not self.opened:
            tokens = frozen.tokenise(self.texts)
            self.lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
            self._rows = frozen.states(tokens)
        self.opened += 1
        return self

    def get(self, rows: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        return [self._rows[row] for row in rows]


@pytest.fixture
def body(tiny_folder: Path) -> Body:
    return open_body("tiny", str(tiny_folder))


def items(texts: list[str]) -> Items:
    targets = np.eye(4, dtype=np.float32)[GOLD]
    return Items(texts, targets, np.ones(len(texts), dtype=np.float32))


def test_training_changes_the_top_layers_alone(body: Body) -> None:
    before = {name: value.clone() for name, value in body.model.state_dict().items()}
    contrast(body, items(TEXTS), seed=0, progress=SILENT)
    changed = {
        name
        for name, value in body.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert any("layer.2." in name for name in changed)
    assert not any("embeddings" in name or "layer.0." in name for name in changed)


def test_copy_can_be_trained_while_the_body_stays(body: Body) -> None:
    before, vectors = body.digest, body.encode(TEXTS)
    other = body.renewed()
    assert other.digest == before
    contrast(other, items(TEXTS), seed=0, progress=SILENT)
    assert other.digest != before
    assert body.digest == before
    np.testing.assert_array_equal(body.encode(TEXTS), vectors)


def test_untrained_body_gives_the_vectors_of_the_encoder(body: Body, tiny: Encoder) -> None:
    texts = [*TEXTS, "", "\ud800", "card " * 10_000]
    np.testing.assert_allclose(body.encode(texts), tiny.encode(texts), atol=0.02)


def test_states_are_shared_with_a_classifier_of_as_many_frozen_layers(
    tiny_folder: Path, body: Body
) -> None:
    from labelwright.models.learners.bert_model import open_classifier

    classifier = open_classifier(str(tiny_folder), LABELS, seed=0, frozen_layers=body.frozen_layers)
    assert body.frozen.key == classifier.frozen.key


def test_own_pooling_of_the_encoder_is_kept_and_its_prompt_is_not(
    tiny_folder: Path, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_folder), local_files_only=True)
    model[1].pooling_mode = "max"
    model.prompts, model.default_prompt_name = {"query": "love bug: "}, "query"
    model.save(str(tmp_path), create_model_card=False)
    body = open_body("max", str(tmp_path))
    plain = model.encode(TEXTS, prompt="", normalize_embeddings=True, show_progress_bar=False)
    prompted = model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(body.encode(TEXTS), plain, atol=0.02)
    assert np.abs(prompted - plain).max() > 0.05
    body.save(tmp_path / "saved")
    again = SentenceTransformer(str(tmp_path / "saved"), local_files_only=True)
    found = again.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(found, plain, atol=0.02)


def test_place_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose another encoder"):
        open_body("nothing", str(tmp_path))


def test_labels_of_the_run_can_be_many(tiny: Encoder) -> None:
    names = [f"label {number}" for number in range(40)]
    learner = make_learner("setfit", label_names=names, label_texts=names, encoder=tiny)
    learner.fit(training(None, labels=np.arange(9)), seed=0)
    found = learner.predict_proba(Inputs(TEXTS, None))
    assert (found.argmax(axis=1) == np.arange(9)).mean() > 0.7


@pytest.mark.parametrize("pairs", [False, True])
def test_batches_of_long_texts_have_fewer_items(
    body: Body, monkeypatch: pytest.MonkeyPatch, pairs: bool
) -> None:
    sizes: list[int] = []
    draw = setfit_training.batches

    def watched(
        chances: NDArray[np.float64], steps: int, seed: int, *, size: int
    ) -> Iterator[NDArray[np.int64]]:
        sizes.append(size)
        return draw(chances, 1, seed, size=size)

    monkeypatch.setattr(setfit_training, "batches", watched)
    for text in ("card", "card bank money " * 30, "card bank money " * 1000):
        texts = [join_pair(text, f"{text} late")] * 2 if pairs else [text] * 2
        rows = Items(texts, np.eye(2, dtype=np.float32), np.ones(2, np.float32), pairs=pairs)
        contrast(body.renewed(), rows, seed=0, progress=SILENT)
    assert sizes == ([32, 16, 8] if pairs else [32, 32, 11])
