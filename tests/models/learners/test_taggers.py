"""Each tagger: what all share, and what is its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelwright.models.encoders import Encoder
from labelwright.models.learners.tagging import Tagger, load_tagger, make_tagger
from labelwright.models.learners.tagging.features import WordFeatures, shape_of
from labelwright.store.errors import UserError
from labelwright.store.spans import Span
from support import HashEncoder
from tagger_contract import ANSWERS, ONES, TEXTS, TYPES, TaggerContract


class TestLinear(TaggerContract):
    kind = "linear"

    def test_without_a_transformer_it_learns_how_words_look_and_says_so(self) -> None:
        tagger = make_tagger("linear", types=TYPES, encoder=HashEncoder())
        report = tagger.fit(TEXTS * 8, ANSWERS * 8, np.tile(ONES, 8), seed=0)
        assert any("has no transformer" in note for note in report.notes)
        assert tagger.tag(TEXTS).spans == ANSWERS

    def test_another_encoder_than_in_training_is_refused(
        self, fitted: Tagger, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path)
        with pytest.raises(UserError, match="not the one the tagger was trained with"):
            load_tagger(tmp_path, encoder=HashEncoder())

    def test_a_damaged_file_is_named(self, fitted: Tagger, tiny: Encoder, tmp_path: Path) -> None:
        fitted.save(tmp_path)
        (tmp_path / "chain.npz").write_bytes(b"no archive")
        with pytest.raises(UserError, match="cannot be read"):
            load_tagger(tmp_path, encoder=tiny)

    def test_all_seeds_give_the_same_tagger(self, tiny: Encoder, fitted: Tagger) -> None:
        assert self.fit(tiny, seed=4).digest == fitted.digest


@pytest.mark.slow
class TestBert(TaggerContract):
    kind = "bert"

    def test_transformers_loads_what_it_saved(self, fitted: Tagger, tmp_path: Path) -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

        fitted.save(tmp_path)
        model = AutoModelForTokenClassification.from_pretrained(tmp_path)
        tokenizer = AutoTokenizer.from_pretrained(tmp_path)
        tags = ["O", *(f"{mark}-{name}" for name in TYPES for mark in "BI")]
        assert model.config.id2label == dict(enumerate(tags))
        read = pipeline(
            "token-classification",
            model=model,
            tokenizer=tokenizer,
            aggregation_strategy="average",
            device="cpu",
        )
        found = [
            tuple(Span(e["start"], e["end"], e["entity_group"], e["word"]) for e in each)
            for each in read(TEXTS)
        ]
        assert found == ANSWERS

    def test_its_encoder_stays_as_it_is(self, tiny: Encoder) -> None:
        before = tiny.encode(TEXTS)
        self.fit(tiny)
        np.testing.assert_array_equal(tiny.encode(TEXTS), before)

    def test_an_encoder_without_a_transformer_is_refused(self) -> None:
        tagger = make_tagger("bert", types=TYPES, encoder=HashEncoder())
        with pytest.raises(UserError, match="no transformer to fine-tune"):
            tagger.fit(TEXTS, ANSWERS, ONES, seed=0)

    def test_another_layout_of_transformer_works_as_well(
        self, tiny_distilbert_folder: Path
    ) -> None:
        from labelwright.models.encoders import load_encoder

        tagger = self.fit(load_encoder(str(tiny_distilbert_folder)))
        assert tagger.tag(TEXTS).spans == ANSWERS


def test_an_unknown_tagger_is_named(tiny: Encoder) -> None:
    with pytest.raises(UserError, match="unknown tagger 'svm': choose one of linear, bert"):
        make_tagger("svm", types=TYPES, encoder=tiny)


@pytest.mark.parametrize("types", [[], ["a", "a"], ["a", ""]])
def test_types_must_be_there_and_differ(tiny: Encoder, types: list[str]) -> None:
    with pytest.raises(UserError, match="give"):
        make_tagger("linear", types=types, encoder=tiny)


def test_a_folder_without_a_tagger_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no saved learner"):
        load_tagger(tmp_path)


@pytest.mark.parametrize(
    ("word", "shape"), [("Ada", "Xx"), ("USA", "X"), ("iPhone6s", "xXx0x"), ("#", "#"), ("", "")]
)
def test_a_shape_keeps_the_kinds_of_characters(word: str, shape: str) -> None:
    assert shape_of(word) == shape


def test_features_of_a_word_are_its_own_and_its_neighbours() -> None:
    features = WordFeatures.of([["Ada", "lives", "here"]], lexical=True)
    table = features.table([["Ada", "lives"], [], ["Ada"]])
    rows = [{features.names[column] for column in table[row].indices} for row in range(3)]
    assert table.shape == (3, len(features.names))
    assert {"0:shape=Xx", "-1:edge", "1:shape=x"} <= rows[0]
    assert "-1:shape=Xx" in rows[1]
    assert "1:edge" in rows[1]
    assert {"-1:edge", "1:edge"} <= rows[2]
    assert "0:word=ada" in rows[0]


def test_beside_vectors_only_what_words_look_like_is_a_feature() -> None:
    features = WordFeatures.of([["Ada", "lives"]], lexical=False)
    assert {name.split(":")[1].split("=")[0] for name in features.names} == {"shape", "edge"}
    assert features.table([["Eve", "lives"]]).nnz == features.table([["Ada", "lives"]]).nnz
