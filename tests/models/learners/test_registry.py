"""Making and loading learners by name, and the errors on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelwright.models.encoders import Encoder
from labelwright.models.learners import load_learner, make_learner
from labelwright.store.errors import UserError


def test_unknown_learner_is_refused_with_the_choices(tiny: Encoder) -> None:
    with pytest.raises(UserError, match=r"'forest'.*linear, svm, bert"):
        make_learner("forest", label_names=["a", "b"], label_texts=["a", "b"], encoder=tiny)


@pytest.mark.parametrize(
    ("names", "texts", "message"),
    [
        (["a"], ["a"], "at least 2"),
        (["a", "a"], ["a", "b"], "given twice"),
        (["a", "b"], ["a"], "1 label texts for 2 labels"),
    ],
)
def test_labels_must_be_two_and_different(
    tiny: Encoder, names: list[str], texts: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make_learner("linear", label_names=names, label_texts=texts, encoder=tiny)


@pytest.mark.parametrize("card", [None, "{", "[]", '{"version": 99, "learner": "linear"}'])
def test_folder_without_a_usable_card_is_refused(tmp_path: Path, card: str | None) -> None:
    if card is not None:
        (tmp_path / "labelwright.json").write_text(card, encoding="utf-8")
    with pytest.raises(UserError, match="learner"):
        load_learner(tmp_path)


def test_missing_model_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labelwright.json").write_text(
        '{"version": 1, "learner": "svm", "label_names": ["a", "b"], "label_texts": ["a", "b"]}',
        encoding="utf-8",
    )
    with pytest.raises(UserError, match=r"model\.joblib"):
        load_learner(tmp_path)
