"""What `linear` and `svm` promise on top of the contract."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import numpy as np
import pytest
from labelled_texts import GOLD, LABELS, MATCHES, PAIRS, TEXTS, training
from labelwright.models.encoders import Encoder
from labelwright.models.learners import (
    Inputs,
    Learner,
    Training,
    load_learner,
    make_learner,
)
from labelwright.models.pairs import PairEncoder, join_pair
from labelwright.store.errors import UserError
from learner_contract import LearnerContract, NeedsRows


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

    def test_saved_file_for_several_labels_answers_each_by_itself(
        self, fitted_several: Learner, tiny: Encoder, tmp_path: Path
    ) -> None:
        fitted_several.save(tmp_path)
        saved = joblib.load(tmp_path / "model.joblib")["classifier"]
        vectors = tiny.encode(TEXTS)
        found = fitted_several.predict_proba(Inputs(TEXTS, vectors))
        np.testing.assert_allclose(saved.predict_proba(vectors), found, atol=1e-6)
        np.testing.assert_array_equal(saved.predict(vectors), found > 0.5)

    def test_without_labels_several_are_told_by_their_texts(self, minilm: Encoder) -> None:
        names = ["sports", "cooking", "politics"]
        learner = make_learner(
            "linear", label_names=names, label_texts=names, encoder=minilm, multi_label=True
        )
        nothing = np.zeros((0, 3), dtype=np.float32)
        learner.fit(training(None, texts=[], labels=nothing), seed=0)
        found = learner.predict_proba(Inputs(["the match ended two to one", "fry an onion"], None))
        assert found.argmax(axis=1).tolist() == [0, 1]

    def test_without_labels_it_says_nothing_of_pairs(self, tiny: Encoder) -> None:
        names = ["match", "no match"]
        learner = make_learner(
            "linear", label_names=names, label_texts=names, encoder=PairEncoder(tiny)
        )
        learner.fit(training(None, texts=[], labels=GOLD[:0]), seed=0)
        found = learner.predict_proba(
            Inputs([join_pair("card", "card"), join_pair("a", "b")], None)
        )
        np.testing.assert_allclose(found, 0.5)

    def test_vector_of_a_text_is_the_encoders(self, fitted: Learner, tiny: Encoder) -> None:
        np.testing.assert_allclose(fitted.embed(Inputs(TEXTS, None)), tiny.encode(TEXTS), atol=1e-2)

    def test_more_labels_leave_less_open(self, tiny: Encoder) -> None:
        spread = []
        for often in (1, 20):
            learner = self.make(tiny)
            rows = training(tiny, texts=TEXTS * often, labels=np.tile(GOLD, often))
            learner.fit(rows, seed=0)
            spread.append(learner.sample_proba(Inputs(TEXTS, None), 50, seed=0).std(axis=0).mean())
        assert spread[1] < 0.8 * spread[0]

    def test_model_saved_without_posterior_predicts_but_has_no_samples(
        self, fitted: Learner, tiny: Encoder, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path / "new")
        card = json.loads((tmp_path / "new" / "labelwright.json").read_text(encoding="utf-8"))
        saved = joblib.load(tmp_path / "new" / "model.joblib")
        del card["multi_label"], saved["posterior"]
        (tmp_path / "new" / "labelwright.json").write_text(json.dumps(card), encoding="utf-8")
        joblib.dump(saved, tmp_path / "new" / "model.joblib")
        old = load_learner(tmp_path / "new", encoder=tiny)
        inputs = Inputs(TEXTS, None)
        np.testing.assert_array_equal(old.predict_proba(inputs), fitted.predict_proba(inputs))
        with pytest.raises(UserError, match="train it again"):
            old.sample_proba(inputs, 2, seed=0)
        old.save(tmp_path / "again")
        assert load_learner(tmp_path / "again", encoder=tiny).digest == fitted.digest

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

    def test_saved_pipeline_of_pairs_works_alone(self, tiny: Encoder, tmp_path: Path) -> None:
        texts = [join_pair(*pair) for pair in PAIRS]
        learner = self.make(tiny, names=["match", "no match"])
        learner.fit(training(None, texts=texts, labels=MATCHES), seed=0)
        learner.save(tmp_path)
        saved = joblib.load(tmp_path / "model.joblib")["classifier"]
        np.testing.assert_allclose(
            saved.predict_proba(texts), learner.predict_proba(Inputs(texts, None)), atol=1e-6
        )

    def test_long_first_text_does_not_hide_the_second(self, tiny: Encoder) -> None:
        texts = [join_pair(*pair) for pair in PAIRS]
        learner = self.make(tiny, names=["match", "no match"])
        learner.fit(training(None, texts=texts, labels=MATCHES), seed=0)
        long = "my card was lost " * 1_000
        pairs = [join_pair(long, long), join_pair(long, "thanks")]
        found = learner.predict_proba(Inputs(pairs, None))[:, 0]
        assert found[0] > found[1]

    def test_vectors_of_texts_with_the_same_words_are_close(self, fitted: Learner) -> None:
        texts = ["the bank paid late", "late paid the bank", "love it", "\u4e2d", "\u6587"]
        found = fitted.embed(Inputs(texts, None))
        assert found[0] @ found[1] > 0.5 > found[0] @ found[2]
        # None of the terms: a fixed direction.
        np.testing.assert_array_equal(found[3], found[4])

    def test_rare_label_is_not_given_up(self, tiny: Encoder) -> None:
        rng = np.random.default_rng(0)
        words = ["my", "the", "card", "bank", "money", "paid", "app", "screen"]
        texts = [" ".join(rng.choice(words, 4)) for _ in range(60)]
        texts += [f"{text} crash" for text in texts[:3]]
        labels = np.array([0] * 60 + [1] * 3)
        learner = self.make(tiny, names=LABELS[:2])
        learner.fit(training(None, texts=texts, labels=labels), seed=0)
        unseen = [" ".join([*rng.choice(words, 4), "crash"]) for _ in range(20)]
        assert (learner.predict_proba(Inputs(unseen, None)).argmax(axis=1) == 1).mean() > 0.5

    def test_labels_without_letters_work(self, tiny: Encoder) -> None:
        learner = make_learner("svm", label_names=["+", "-"], label_texts=["+", "-"], encoder=tiny)
        learner.fit(training(None, texts=["", "?"], labels=np.array([0, 1])), seed=0)
        assert learner.predict_proba(Inputs(["?"], None)).argmax() == 1
