"""The contract of all taggers: one template that the tests of each inherit.

class TestMine(TaggerContract):
    kind = "mine"
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from labelwright.models.encoders import Encoder
from labelwright.models.learners.tagging import TAGGERS, Tagger, load_tagger, make_tagger
from labelwright.store.errors import OperatorError, UserError
from labelwright.store.spans import Span

TYPES = ("thing", "place", "colour")
TEXTS = [
    "my card was lost",
    "the bank is late",
    "the card and the app crash",
    "refund my money at the bank",
    "thanks it is great",
    "love it and happy",
    "the app is slow",
    "not a bug",
]
_KNOWN = {"card": "thing", "app": "thing", "money": "thing", "bank": "place"}


def marked(text: str) -> tuple[Span, ...]:
    """Every known word as a span."""
    found, place = [], 0
    for word in text.split():
        place = text.index(word, place)
        if word in _KNOWN:
            found.append(Span(place, place + len(word), _KNOWN[word], word))
        place += len(word)
    return tuple(found)


ANSWERS = [marked(text) for text in TEXTS]
ONES = np.ones(len(TEXTS), dtype=np.float32)


class TaggerContract:
    """Inherited by the tests of each tagger."""

    kind: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, tiny: Encoder) -> Tagger:
        return cls.fit(tiny, seed=3)

    @classmethod
    def fit(cls, encoder: Encoder, *, seed: int = 0) -> Tagger:
        tagger = make_tagger(cls.kind, types=TYPES, encoder=encoder)
        tagger.fit(TEXTS, ANSWERS, ONES, seed=seed)
        return tagger

    def test_is_registered_by_its_name(self, tiny: Encoder) -> None:
        assert self.kind in TAGGERS
        assert make_tagger(self.kind, types=TYPES, encoder=tiny).name == self.kind

    def test_learns_the_texts_it_was_shown(self, fitted: Tagger) -> None:
        assert fitted.tag(TEXTS).spans == ANSWERS

    def test_says_how_likely_each_answer_is(self, fitted: Tagger) -> None:
        found = fitted.tag(TEXTS)
        assert found.confidence.dtype == found.doubt.dtype == found.occurs.dtype == np.float32
        assert ((found.confidence > 0) & (found.confidence <= 1)).all()
        assert found.occurs.shape == (len(TEXTS), len(TYPES))
        assert ((found.occurs >= 0) & (found.occurs <= 1)).all()

    def test_a_type_occurs_more_likely_where_it_is_marked(self, fitted: Tagger) -> None:
        occurs = fitted.tag(TEXTS).occurs[:, TYPES.index("place")]
        has = np.array([any(span.type == "place" for span in each) for each in ANSWERS])
        assert occurs[has].min() > occurs[~has].max()

    def test_doubt_is_one_minus_the_mean_confidence_of_a_word(self, fitted: Tagger) -> None:
        found = fitted.tag(TEXTS)
        words = np.array([len(text.split()) for text in TEXTS])
        expected = 1 - found.confidence.astype(float) ** (1 / words)
        np.testing.assert_allclose(found.doubt, expected, atol=1e-5)

    def test_a_text_without_words_has_no_entities_for_sure(self, fitted: Tagger) -> None:
        found = fitted.tag(["", "  \n", TEXTS[0]])
        assert found.spans[:2] == [(), ()]
        assert found.confidence[:2].tolist() == [1.0, 1.0]
        assert found.doubt[:2].tolist() == [0.0, 0.0]
        assert (found.occurs[:2] == 0).all()

    def test_no_texts_are_answered_by_nothing(self, fitted: Tagger) -> None:
        found = fitted.tag([])
        assert found.spans == []
        assert found.occurs.shape == (0, len(TYPES))
        assert fitted.embed([]).shape[0] == 0

    def test_an_answer_does_not_depend_on_the_other_texts(self, fitted: Tagger) -> None:
        together = fitted.tag([*TEXTS, "the " * 40])
        alone = [fitted.tag([text]) for text in TEXTS]
        assert together.spans[: len(TEXTS)] == [each.spans[0] for each in alone]
        np.testing.assert_allclose(
            together.confidence[: len(TEXTS)], [each.confidence[0] for each in alone], atol=2e-2
        )

    def test_nothing_of_a_long_text_is_left_unread(self, fitted: Tagger) -> None:
        text = "the card " + "and the " * 400 + "bank is late"
        (spans,) = fitted.tag([text]).spans
        assert Span(4, 8, "thing", "card") in spans
        assert Span(len(text) - 12, len(text) - 8, "place", "bank") in spans

    def test_spans_are_what_stands_in_the_text_whatever_it_holds(self, fitted: Tagger) -> None:
        texts = ["the\x00 card\u200b", "kọ́ the card", "card\udce9 bank", "東京 card", "🙂" * 300]
        for text, spans in zip(texts, fitted.tag(texts).spans, strict=True):
            assert all(text[span.start : span.end] == span.text for span in spans)

    def test_the_same_seed_gives_the_same_tagger(self, tiny: Encoder, fitted: Tagger) -> None:
        again = self.fit(tiny, seed=3)
        assert again.digest == fitted.digest
        np.testing.assert_array_equal(again.tag(TEXTS).confidence, fitted.tag(TEXTS).confidence)

    def test_a_fit_leaves_nothing_of_the_one_before(self, tiny: Encoder, fitted: Tagger) -> None:
        tagger = make_tagger(self.kind, types=TYPES, encoder=tiny)
        tagger.fit(TEXTS[:2], [(), ()], ONES[:2], seed=0)
        tagger.fit(TEXTS, ANSWERS, ONES, seed=3)
        assert tagger.digest == fitted.digest

    def test_a_weight_says_how_much_a_text_counts(self, tiny: Encoder) -> None:
        texts, wrong = ["my card was lost"] * 2, [ANSWERS[0], ()]
        found = []
        for weights in ([4.0, 0.25], [0.25, 4.0]):
            tagger = make_tagger(self.kind, types=TYPES, encoder=tiny)
            tagger.fit(texts, wrong, np.array(weights, dtype=np.float32), seed=0)
            found.append(tagger.tag(texts[:1]).occurs[0, 0])
        assert found[0] > 0.5 > found[1]

    def test_texts_without_any_entity_can_be_learned_from(self, tiny: Encoder) -> None:
        tagger = make_tagger(self.kind, types=TYPES, encoder=tiny)
        report = tagger.fit(TEXTS[4:6], [(), ()], ONES[:2], seed=0)
        assert tagger.tag(TEXTS).spans == [()] * len(TEXTS)
        assert any("no example of thing, place, colour" in note for note in report.notes)

    def test_one_type_is_enough(self, tiny: Encoder) -> None:
        tagger = make_tagger(self.kind, types=["thing"], encoder=tiny)
        answers = [tuple(s for s in each if s.type == "thing") for each in ANSWERS]
        tagger.fit(TEXTS, answers, ONES, seed=0)
        assert tagger.tag(TEXTS).spans == answers

    def test_vectors_have_norm_one(self, fitted: Tagger) -> None:
        vectors = fitted.embed([*TEXTS, "and " * 600])
        assert len(vectors) == len(TEXTS) + 1
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)

    def test_comes_back_from_disk_as_it_was(
        self, fitted: Tagger, tiny: Encoder, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path / "model")
        for encoder in (tiny, None):
            again = load_tagger(tmp_path / "model", encoder=encoder)
            assert (again.name, again.types, again.digest) == (self.kind, TYPES, fitted.digest)
            assert again.tag(TEXTS).spans == ANSWERS
            np.testing.assert_allclose(
                again.tag(TEXTS).confidence, fitted.tag(TEXTS).confidence, atol=1e-6
            )

    def test_its_card_says_what_it_is(self, fitted: Tagger, tmp_path: Path) -> None:
        fitted.save(tmp_path)
        card = json.loads((tmp_path / "labelwright.json").read_text(encoding="utf-8"))
        assert card["tagger"] == self.kind
        assert card["types"] == list(TYPES)
        assert card["tags"][:3] == ["O", "B-thing", "I-thing"]

    def test_a_folder_that_cannot_be_written_is_an_operator_error(
        self, fitted: Tagger, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OperatorError, match="give a writable folder"):
            fitted.save(tmp_path / "file" / "model")

    def test_before_fit_nothing_can_be_asked(self, tiny: Encoder, tmp_path: Path) -> None:
        tagger = make_tagger(self.kind, types=TYPES, encoder=tiny)
        for ask in (
            lambda: tagger.digest,
            lambda: tagger.tag(TEXTS),
            lambda: tagger.embed(TEXTS),
            lambda: tagger.save(tmp_path),
        ):
            with pytest.raises(UserError, match="not trained yet"):
                ask()

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            ((Span(3, 7, "person", "card"),), "'person' is none of"),
            ((Span(3, 7, "thing", "bank"),), "not what stands there"),
            ((Span(3, 7, "thing", "card"), Span(5, 7, "place", "rd")), "overlap"),
        ],
    )
    def test_an_answer_that_does_not_fit_is_refused(
        self, tiny: Encoder, answer: tuple[Span, ...], message: str
    ) -> None:
        tagger = make_tagger(self.kind, types=TYPES, encoder=tiny)
        with pytest.raises(UserError, match=message):
            tagger.fit(TEXTS[:1], [answer], ONES[:1], seed=0)

    @pytest.mark.parametrize(
        ("texts", "weights"), [(0, 0), (2, 1), (1, 0)], ids=["none", "lengths", "weights"]
    )
    def test_rows_that_do_not_fit_together_are_refused(
        self, tiny: Encoder, texts: int, weights: int
    ) -> None:
        tagger = make_tagger(self.kind, types=TYPES, encoder=tiny)
        with pytest.raises(UserError, match="one answer and one weight"):
            tagger.fit(TEXTS[:texts], ANSWERS[: min(texts, 1)], ONES[:weights], seed=0)
