"""The frozen layers: their states, their key, and that keeping the states changes no result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from labelwright.models.compute import SILENT, token_batches
from labelwright.models.encoders import Encoder
from labelwright.models.learners import (
    Inputs,
    Learner,
    Training,
    bert_model,
    bert_training,
    frozen,
    load_learner,
    make_learner,
)
from labelwright.models.learners.bert_model import Classifier, open_classifier
from labelwright.models.learners.bert_rows import BATCH_ROWS, batches
from labelwright.models.learners.frozen import FreshStates, Frozen
from labelwright.models.pairs import join_pair, split_pair
from labelwright.models.progress import NoProgress
from labelwright.store.pool import Pool
from labelwright.tools.hidden import PoolHidden

LABELS = ["billing", "bug", "praise"]
WORDS = {"billing": "my card money refund", "bug": "app crash login slow", "praise": "love great"}
TEXTS = [f"{WORDS[LABELS[n % 3]]} {'the is it ' * (n % 11)}" for n in range(60)]
GOLD = np.arange(60) % 3
TRAIN = np.arange(0, 60, 2)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bert_training, "SMALLEST_STEPS", 60)


@pytest.fixture
def kept(tmp_path: Path) -> PoolHidden:
    ids = pa.array([str(row) for row in range(len(TEXTS))])
    Pool.write(tmp_path, ids, pa.array(TEXTS), None)
    pool = Pool(tmp_path)
    pool.write_groups(np.arange(len(TEXTS)))
    return PoolHidden(tmp_path, pool, NoProgress())


@pytest.fixture
def classifier(tiny_folder: Path) -> Classifier:
    return open_classifier(str(tiny_folder), LABELS, seed=0)


def fitted(tiny: Encoder, kept: PoolHidden | None) -> Learner:
    learner = make_learner("bert", label_names=LABELS, label_texts=LABELS, encoder=tiny)
    learner.fit(Training(inputs(kept, TRAIN), GOLD[TRAIN], np.ones(len(TRAIN), np.float32)), seed=3)
    return learner


def inputs(kept: PoolHidden | None, rows: np.ndarray) -> Inputs:
    return Inputs([TEXTS[row] for row in rows], None, kept.of(rows) if kept else None)


def everything(kept: PoolHidden | None) -> Inputs:
    return inputs(kept, np.arange(len(TEXTS)))


def test_states_are_the_input_of_the_first_trained_layer(classifier: Classifier) -> None:
    layers = classifier.frozen
    tokens = layers.tokenise(TEXTS[:5])
    with torch.inference_mode():
        every = classifier.model.base_model(**layers.batch(tokens), output_hidden_states=True)
    for place, found in enumerate(layers.states(tokens)):
        expected = every.hidden_states[2][place, : len(tokens[place])].numpy()
        numbers = (found.astype(np.uint32) << 16).view(np.float32)
        np.testing.assert_allclose(numbers, expected, atol=0.05)


def test_key_is_the_encoders_and_not_the_training_s(
    classifier: Classifier, tiny: Encoder, tiny_folder: Path, tmp_path: Path
) -> None:
    learner = fitted(tiny, None)
    learner.save(tmp_path)
    again = bert_model.reopen_classifier(tmp_path)
    assert again.frozen.key == classifier.frozen.key
    other = open_classifier(str(tiny_folder), LABELS, seed=0)
    with torch.no_grad():
        next(other.model.bert.encoder.layer[0].parameters())[0] += 1
    assert other.frozen.key != classifier.frozen.key


def test_predictions_do_not_depend_on_whether_states_are_kept(
    tiny: Encoder, kept: PoolHidden
) -> None:
    learner = fitted(tiny, kept)
    found = learner.predict_proba(everything(kept))
    np.testing.assert_allclose(found, learner.predict_proba(everything(None)), atol=0.01)
    plain = fitted(tiny, None).predict_proba(everything(None))
    np.testing.assert_allclose(found, plain, atol=0.02)


def test_kept_states_give_the_same_bits_in_every_process(
    tiny: Encoder, kept: PoolHidden, tmp_path: Path
) -> None:
    first = fitted(tiny, kept)
    probabilities = first.predict_proba(everything(kept))
    again = fitted(tiny, PoolHidden(kept.folder, Pool(kept.folder), NoProgress()))
    assert again.digest == first.digest
    first.save(tmp_path / "saved")
    loaded = load_learner(tmp_path / "saved", encoder=tiny)
    assert np.array_equal(loaded.predict_proba(everything(kept)), probabilities)


def test_kept_states_are_not_computed_again(
    tiny: Encoder, kept: PoolHidden, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = fitted(tiny, kept)
    learner.predict_proba(everything(kept))

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(Frozen, "states", never)
    learner.predict_proba(everything(kept))
    with pytest.raises(AssertionError, match="computed again"):
        learner.predict_proba(everything(None))


def test_saved_model_gives_what_the_short_way_gives(tiny: Encoder, tmp_path: Path) -> None:
    """The whole network, pooling layer and all, against the top with the pooling formula."""
    learner = fitted(tiny, None)
    learner.save(tmp_path)
    model = bert_model.reopen_classifier(tmp_path)
    with torch.inference_mode():
        tokens = model.frozen.tokenise(TEXTS)
        full = model.model(**model.frozen.batch(tokens)).logits.softmax(dim=1).numpy()
    np.testing.assert_allclose(learner.predict_proba(everything(None)), full, atol=0.02)


def test_processors_without_bfloat16_compute_the_same(
    tiny: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fitted(tiny, None).predict_proba(everything(None))
    for module in (bert_training, bert_model, frozen):
        monkeypatch.setattr(module, "compute_dtype", lambda _device: torch.float32)
    found = fitted(tiny, None).predict_proba(everything(None))
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_training_is_the_same_on_one_core_and_on_several(tiny: Encoder) -> None:
    before = torch.get_num_threads()
    digests = []
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            digests.append(fitted(tiny, None).digest)
    finally:
        torch.set_num_threads(before)
    assert digests[0] == digests[1]


def test_batches_hold_every_row_once_before_any_row_again() -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 40)
    found = list(batches(lengths, 25, seed=1))
    assert len(found) == 25
    assert {len(batch) for batch in found} == {BATCH_ROWS}
    counts = np.bincount(np.concatenate(found), minlength=40)
    assert counts.max() - counts.min() <= 2
    assert all((np.diff(lengths[batch]) <= 0).all() for batch in found)


def test_a_pair_is_two_segments_and_its_longer_text_is_cut_first(
    classifier: Classifier, tiny_folder: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    short, long = "card bank", "the app is slow " * 100
    texts = [join_pair(short, "login crash"), "refund", join_pair(long, short), join_pair("", "a")]
    found = classifier.frozen.tokenise(texts)
    batch = classifier.frozen.batch(found)
    for row, text in enumerate(texts):
        pair = split_pair(text) if row != 1 else (text,)
        expected = tokenizer(
            *pair, truncation=True, max_length=256, return_token_type_ids=True, return_tensors="pt"
        )
        length = len(found[row])
        for name in ("input_ids", "token_type_ids"):
            assert torch.equal(batch[name][row, :length], expected[name][0])
            assert (batch[name][row, length:] == 0).all()
    assert len(found[2]) == 256
    assert batch["token_type_ids"][2].sum() == 3


def test_the_same_words_in_other_segments_are_another_pair(classifier: Classifier) -> None:
    first, second = join_pair("card bank", "login"), join_pair("card", "bank login")
    tokens = classifier.frozen.tokenise([first, second])
    states = classifier.frozen.states(tokens)
    assert not np.array_equal(np.abs(tokens[0]), np.abs(tokens[1]))
    assert not np.array_equal(states[0], states[1])


def test_families_without_segments_read_pairs_too(tiny_distilbert_folder: Path) -> None:
    classifier = open_classifier(str(tiny_distilbert_folder), LABELS, seed=0)
    pair = join_pair("card bank", "login")
    tokens = classifier.frozen.tokenise([pair])
    assert "token_type_ids" not in classifier.frozen.batch(tokens)
    assert classifier.probabilities([pair], None, SILENT).shape == (1, 3)


def test_states_of_pairs_are_kept(tiny: Encoder, tmp_path: Path) -> None:
    pairs = [join_pair(text, TEXTS[place - 1]) for place, text in enumerate(TEXTS)]
    Pool.write(tmp_path, pa.array([str(row) for row in range(60)]), pa.array(pairs), None)
    pool = Pool(tmp_path)
    pool.write_groups(np.arange(60))
    kept = PoolHidden(tmp_path, pool, NoProgress())
    learner = fitted(tiny, None)
    fresh = learner.predict_proba(Inputs(pairs, None))
    found = learner.predict_proba(Inputs(pairs, None, kept.of(np.arange(60))))
    np.testing.assert_allclose(found, fresh, atol=0.01)


def test_samples_and_vectors_use_kept_states(
    tiny: Encoder, kept: PoolHidden, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = fitted(tiny, kept)
    learner.predict_proba(everything(kept))

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(Frozen, "states", never)
    assert learner.embed(everything(kept)).shape == (60, 32)
    assert learner.sample_proba(everything(kept), 2, seed=0).shape == (2, 60, 3)


def test_no_text_has_no_states(classifier: Classifier) -> None:
    assert classifier.probabilities([], None, SILENT).shape == (0, 3)
    assert token_batches(FreshStates(classifier.frozen, []).lengths) == []
