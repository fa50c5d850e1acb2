"""The embedded annotator: what it answers and what it says that rests on."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.embedded import EmbeddedAnnotator, Suggestion, rationale
from numpy.typing import NDArray

DIM = 64
NAMES = ["billing", "bug", "feature request"]
HINTS = {
    "billing": ["charged", "invoice", "refund", "card"],
    "bug": ["crash", "error", "broken", "freezes"],
    "feature request": ["please", "add", "wish", "dark"],
}


def word_vector(word: str) -> NDArray[np.float64]:
    for name, hints in HINTS.items():
        if word in hints or word in name.split():
            base = np.random.default_rng(zlib.crc32(name.encode())).normal(size=DIM)
            own = np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIM)
            return np.asarray(base + 0.5 * own)
    return np.asarray(0.3 * np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIM))


class BagOfWords:
    """A real, small encoder: the normalised sum of fixed word vectors, and how often it ran."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls += 1
        rows = [
            sum((word_vector(w) for w in t.casefold().replace(",", "").split()), np.full(DIM, 1e-6))
            for t in texts
        ]
        vectors = np.array(rows)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


encode = BagOfWords()
LABELLED = [
    "my card was charged again",
    "the invoice is wrong",
    "it shows an error",
    "the app freezes",
    "I wish for a dark mode",
]
ANSWERS = np.array([0, 0, 1, 1, 2])
ROWS = np.array([17, 4, 30, 8, 99])


def annotator(**options: float) -> EmbeddedAnnotator:
    return EmbeddedAnnotator(
        encode(NAMES),
        encode(LABELLED),
        ANSWERS,
        ROWS,
        **options,  # type: ignore[arg-type]
    )


def unlabelled() -> EmbeddedAnnotator:
    return EmbeddedAnnotator(encode(NAMES))


def suggest(texts: list[str], using: EmbeddedAnnotator | None = None) -> list[Suggestion]:
    return (using or annotator()).suggest(encode(texts), texts, encode)


@pytest.mark.parametrize("labelled", [False, True])
def test_labels_are_found_with_and_without_labelled_items(labelled: bool) -> None:
    using = annotator() if labelled else unlabelled()
    texts = ["charged twice on one invoice", "crash with an error", "please add tags"]
    assert [each.label for each in suggest(texts, using)] == [0, 1, 2]


@pytest.mark.parametrize("labelled", [0, 1, 5, 200])
def test_distributions_are_valid_for_any_number_of_labelled_items(labelled: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(labelled + 50, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    using = EmbeddedAnnotator(
        encode(NAMES), vectors[:labelled], rng.integers(0, 3, labelled), np.arange(labelled)
    )
    p = using.distribution(vectors[labelled:])
    assert p.shape == (50, 3)
    assert p.dtype == np.float32
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_labelled_items_overrule_a_misleading_description() -> None:
    texts = ["the export is empty", "the export stays empty", "empty export again"]
    using = EmbeddedAnnotator(encode(NAMES), encode(texts), np.array([1, 1, 1]), np.arange(3))
    text = "my export is empty"
    assert suggest([text], using)[0].label == 1
    gain = (
        using.distribution(encode([text]))[0, 1] - unlabelled().distribution(encode([text]))[0, 1]
    )
    assert gain > 0.1


def test_a_label_without_labelled_items_is_still_suggested() -> None:
    using = EmbeddedAnnotator(encode(NAMES), encode(LABELLED[:4]), ANSWERS[:4], ROWS[:4])
    assert suggest(["please add dark mode"], using)[0].label == 2


def test_large_pools_are_worked_through_in_blocks() -> None:
    vectors = np.tile(encode(["charged twice"]), (9001, 1))
    p = annotator().distribution(vectors)
    assert len(p) == 9001
    np.testing.assert_allclose(p, np.tile(p[:1], (9001, 1)), atol=1e-5)


def test_equal_distribution_whatever_else_is_in_the_batch() -> None:
    texts = ["charged twice", "the app shows an error", "hello"]
    together = annotator().distribution(encode(texts))
    alone = np.concatenate([annotator().distribution(encode([text])) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_neighbours_are_the_nearest_with_the_suggested_label() -> None:
    (found,) = suggest(["my card was charged"])
    assert found.label == 0
    assert [near.row for near in found.neighbours] == [17, 4]
    assert {near.label for near in found.neighbours} == {0}
    expected = float((encode(["my card was charged"]) @ encode(LABELLED[:1]).T)[0, 0])
    assert found.neighbours[0].similarity == pytest.approx(expected, abs=1e-5)
    assert found.neighbours[0].similarity > found.neighbours[1].similarity


def test_the_decisive_words_come_first() -> None:
    (found,) = suggest(["Hello there, my invoice came and the refund did not"])
    assert {word for word, _ in found.words[:2]} == {"invoice", "refund"}
    drops = [drop for _, drop in found.words]
    assert drops == sorted(drops, reverse=True)
    assert min(drops) > 0


def test_words_that_speak_for_another_label_are_not_named() -> None:
    (found,) = suggest(["refund my invoice error"])
    assert found.label == 0
    assert "error" not in {word for word, _ in found.words}
    assert "refund" in {word for word, _ in found.words}


def test_the_distribution_is_the_documented_mixture() -> None:
    x = np.array([[0.6, 0.8]], np.float32)
    labels = np.eye(2, dtype=np.float32)
    labelled = np.array([[0.8, 0.6], [0.0, 1.0]], np.float32)
    using = EmbeddedAnnotator(
        labels,
        labelled,
        np.array([0, 1]),
        np.array([5, 6]),
        temperature=0.5,
        neighbour_temperature=0.25,
        label_weight=2.0,
        most_neighbours=0.4,
    )
    first = np.array([2.8, 0.6]) / np.hypot(2.8, 0.6)
    scores = np.exp(np.array([x[0] @ first, x[0, 1]]) / 0.5)
    weights = np.exp(labelled @ x[0] / 0.25)
    share = 0.4 * 2 / (2 + 2)
    expected = (1 - share) * scores / scores.sum() + share * weights / weights.sum()
    np.testing.assert_allclose(using.distribution(x)[0], expected, atol=1e-5)


def test_the_drop_is_that_of_the_text_without_every_occurrence_of_the_word() -> None:
    (found,) = suggest(["Refund, I want a refund now"], unlabelled())
    word, drop = found.words[0]
    assert word == "Refund"
    p = unlabelled().distribution(encode(["Refund, I want a refund now", ", I want a now"]))
    odds = np.log(p[:, 0] / (p[:, 1] + p[:, 2]))
    assert drop == pytest.approx(float(odds[0] - odds[1]), rel=1e-3)


def test_all_words_of_a_batch_are_encoded_in_one_call() -> None:
    counting = BagOfWords()
    texts = ["charged twice today", "the app shows an error", "word"]
    annotator().suggest(encode(texts), texts, counting)
    assert counting.calls == 1


def test_only_the_first_words_of_a_long_text_are_tried() -> None:
    seen: list[str] = []

    def recording(texts: Sequence[str]) -> NDArray[np.float32]:
        seen.extend(texts)
        return encode(texts)

    text = " ".join(f"word{i}" for i in range(200))
    annotator().suggest(encode([text]), [text], recording, max_words=7)
    assert len(seen) == 7
    assert "word0 " not in seen[0]
    assert "word6 " not in seen[6]


@pytest.mark.parametrize("text", ["", "   ", "!!!", "charged", "Charged charged"])
def test_texts_of_at_most_one_word_have_no_decisive_words(text: str) -> None:
    assert suggest([text])[0].words == ()


def test_without_an_encoder_there_are_no_words() -> None:
    texts = ["charged twice today"]
    (found,) = annotator().suggest(encode(texts), texts)
    assert found.words == ()
    assert found.neighbours


def test_an_empty_batch_gives_no_suggestions() -> None:
    assert annotator().suggest(np.zeros((0, DIM), np.float32), [], encode) == []


@given(st.text(max_size=60))
def test_any_text_is_survived(text: str) -> None:
    (found,) = suggest([text])
    said = rationale(found, NAMES, lambda row: text)
    assert NAMES[found.label] in said
    assert "\n" not in said


def test_the_rationale_names_neighbours_and_words() -> None:
    texts = dict(zip(ROWS.tolist(), LABELLED, strict=True))
    (found,) = suggest(["my card was charged"])
    said = rationale(found, NAMES, texts.__getitem__, lambda row: f"t{row}")
    assert said.startswith("Nearest items labelled billing: #t17 “my card was charged again”")
    assert f"(similarity {found.neighbours[0].similarity:.2f})" in said
    assert said.endswith("lowers billing most.")
    assert "“charged”" in said


def test_the_rationale_says_when_nothing_is_labelled() -> None:
    (found,) = suggest(["my card was charged"], unlabelled())
    assert found.n_labelled == 0
    assert rationale(found, NAMES, str).startswith("Nothing is labelled yet: billing is")


def test_the_rationale_says_when_no_neighbour_agrees() -> None:
    using = EmbeddedAnnotator(encode(NAMES), encode(LABELLED[:4]), ANSWERS[:4], ROWS[:4])
    (found,) = suggest(["please add dark mode"], using)
    assert "No near item is labelled feature request" in rationale(found, NAMES, str)


def test_long_neighbours_are_cut() -> None:
    (found,) = suggest(["my card was charged"])
    said = rationale(found, NAMES, lambda row: "very long\n" * 1000, longest=20)
    assert "“very long very long…”" in said


@pytest.mark.parametrize(
    "change",
    [
        {"labelled_labels": np.array([0, 0, 1, 1, 3])},
        {"labelled_labels": np.array([0, 0, 1, 1, -1])},
        {"labelled_labels": np.array([0])},
        {"labelled_rows": np.array([1])},
        {"labelled_vectors": np.zeros((5, DIM + 1), np.float32)},
        {"label_vectors": np.zeros((1, DIM), np.float32)},
        {"label_vectors": np.zeros(DIM, np.float32)},
        {"temperature": 0.0},
        {"k": 0},
        {"most_neighbours": 1.5},
    ],
)
def test_input_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    options: dict[str, object] = {
        "label_vectors": encode(NAMES),
        "labelled_vectors": encode(LABELLED),
        "labelled_labels": ANSWERS,
        "labelled_rows": ROWS,
    }
    with pytest.raises(UserError):
        EmbeddedAnnotator(**{**options, **change})  # type: ignore[arg-type]


def test_batches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="2 texts for 1 vectors"):
        annotator().suggest(encode(["a"]), ["a", "b"], encode)
    with pytest.raises(UserError, match="shape"):
        annotator().distribution(np.zeros((1, DIM + 1), np.float32))
    with pytest.raises(UserError, match="encode gave"):
        annotator().suggest(encode(["a b"]), ["a b"], lambda texts: encode(texts)[:1])


def test_importing_the_cores_loads_nothing_heavy() -> None:
    code = (
        "import sys, labelwright.tools.embedded, labelwright.tools.certificate, "
        "labelwright.tools.calibration; "
        "print([m for m in ('scipy', 'sklearn', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
