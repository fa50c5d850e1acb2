"""Encoders: vectors, names, digests, odd texts, and what stays quiet."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from labelwright.models.encoders import (
    Encoder,
    SentenceEncoder,
    TransformerEncoder,
    load_encoder,
)
from labelwright.store.errors import OperatorError, UserError
from sentence_transformers import SentenceTransformer

TEXTS = ["my card is lost", "", "good", "the app is slow and the login is not great", "card"]


def test_vectors_have_norm_one_and_the_promised_shape(tiny: Encoder) -> None:
    vectors = tiny.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), tiny.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_vectors_come_in_the_order_of_the_texts(tiny: Encoder) -> None:
    together = tiny.encode(TEXTS)
    alone = np.concatenate([tiny.encode([text]) for text in TEXTS])
    assert (together * alone).sum(axis=1).min() > 0.999
    assert not np.allclose(together[0], together[2], atol=0.01)


def test_no_texts_give_no_vectors(tiny: Encoder) -> None:
    assert tiny.encode([]).shape == (0, tiny.dim)


def test_same_texts_give_the_same_bits(tiny: Encoder) -> None:
    texts = [f"{text} {number}" for number in range(50) for text in TEXTS]
    np.testing.assert_array_equal(tiny.encode(texts), tiny.encode(texts))


def test_number_of_threads_changes_nothing(tiny: Encoder) -> None:
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(tiny.encode(TEXTS * 300))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])


def test_default_encoder_knows_meaning_and_agrees_with_float32(minilm: Encoder) -> None:
    texts = ["how do I get my money back", "I want a refund", "the cat sat on the mat"]
    vectors = minilm.encode(texts)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert isinstance(minilm, TransformerEncoder)
    exact = SentenceTransformer(minilm.location, device="cpu").encode(
        texts, normalize_embeddings=True, show_progress_bar=False
    )
    assert (vectors * exact).sum(axis=1).min() > 0.999


def test_only_the_first_max_chars_count(tiny_folder: Path) -> None:
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    encoder = SentenceEncoder("short", str(tiny_folder), model, max_chars=9)
    long, short = encoder.encode(["card bank and more", "card bank"])
    np.testing.assert_array_equal(long, short)
    with pytest.raises(UserError, match="max_chars is 0"):
        SentenceEncoder("none", str(tiny_folder), model, max_chars=0)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", ["x" * 1_000_000, "a b " * 250_000, "\ud800", "\x00", "日本語"])
def test_odd_texts_get_a_vector_in_time(tiny: Encoder, text: str) -> None:
    assert np.isfinite(tiny.encode([text])).all()


def test_digest_is_of_the_model_not_of_its_place(
    tiny: Encoder, tiny_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "copy")
    copy = load_encoder(str(tmp_path / "copy"))
    assert copy.digest == tiny.digest
    assert len(copy.digest) == 16
    assert copy.name == str(tmp_path / "copy")


def test_digest_changes_with_weights_and_settings(tiny: Encoder, tiny_folder: Path) -> None:
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    digests = {SentenceEncoder("a", "", model).digest}
    digests.add(SentenceEncoder("a", "", model, max_chars=99).digest)
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1
    digests.add(SentenceEncoder("a", "", model).digest)
    assert len(digests) == 3


def test_digest_does_not_change_by_use(tiny_folder: Path) -> None:
    used = load_encoder(str(tiny_folder))
    used.encode(["card " * 1000, "bank"])
    assert isinstance(used, SentenceEncoder)
    assert SentenceEncoder("again", "", used._model).digest == used.digest


def test_encoding_from_two_threads_at_once_is_right(tiny: Encoder) -> None:
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: tiny.encode(TEXTS * 20)}))
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found[0], found[1])


def test_loading_and_encoding_print_nothing(
    tiny_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_encoder(str(tiny_folder)).encode(TEXTS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["", "./nowhere", "/no/such/folder", "~/no-such-folder", "a/b/c"])
def test_names_that_are_no_model_are_the_users_error(name: str) -> None:
    with pytest.raises(UserError, match="all-MiniLM-L6-v2"):
        load_encoder(name)


def test_folder_without_a_model_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        load_encoder(str(tmp_path))


@pytest.mark.timeout(30)
def test_unreachable_hub_is_the_operators_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OperatorError, match="does not answer"):
        load_encoder("nobody/nothing")
