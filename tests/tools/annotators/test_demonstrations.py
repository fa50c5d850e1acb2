"""Demonstrations: the right ones, in the right order, and never one that spoils a measurement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotating import GOAL, SINGLE, gateway, shown_to
from labelwright.app.project import Project
from labelwright.store.errors import UserError
from labelwright.tools.annotators import (
    Bank,
    Demonstrations,
    Item,
    LLMAnnotator,
    Shown,
    training_bank,
    training_rows,
    written_bank,
)
from labelwright.tools.annotators.demonstrations import DemoKind
from labelwright.tools.duplicates import normalise
from numpy.typing import NDArray
from support import HashEncoder, messages, ran

KINDS: tuple[DemoKind, ...] = ("fixed", "nearest", "nearest_per_class", "cover")
ENCODER = HashEncoder()
EXAMPLES = (
    ("refund my card", "billing"),
    ("card payment twice", "billing"),
    ("invoice payment charge", "billing"),
    ("app crash screen", "bug"),
    ("app button freeze", "bug"),
    ("great team thanks", "praise"),
)


def bank(examples: Any = EXAMPLES, held_out: Any = ()) -> Bank[str]:
    shown = [Shown(Item(f"e{n}", text), label) for n, (text, label) in enumerate(examples)]
    vectors = ENCODER.encode([each.item.text for each in shown])
    return written_bank(shown, held_out=held_out, vectors=vectors)


def chosen(
    kind: DemoKind, text: str, number: int = 3, *, id: str = "x", **options: Any
) -> list[str]:
    given = Demonstrations(options.pop("bank", bank()), kind, number, **options)
    (found,) = given.choose(SINGLE, [Item(id, text)], ENCODER.encode([text]))
    return [each.item.text for each in found]


def similarity(text: str, others: list[str]) -> NDArray[np.float32]:
    return ENCODER.encode(others) @ ENCODER.encode([text])[0]


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_as_many_as_wanted_or_as_there_are(self, kind: DemoKind) -> None:
        assert len(chosen(kind, "card", 3)) == 3
        assert len(chosen(kind, "card", 100)) == len(EXAMPLES)

    def test_all_are_different(self, kind: DemoKind) -> None:
        found = chosen(kind, "card", 6)
        assert len(set(found)) == 6

    def test_the_item_itself_is_not_shown(self, kind: DemoKind) -> None:
        text = EXAMPLES[3][0]
        assert text not in chosen(kind, text, 6)
        assert "great team thanks" not in chosen(kind, "other words", 6, id="e5")

    def test_a_duplicate_of_the_item_is_not_shown(self, kind: DemoKind) -> None:
        assert "app crash screen" not in chosen(kind, "App  crash, SCREEN!", 6)
        assert len(chosen(kind, "App  crash, SCREEN!", 5)) == 5

    def test_the_same_seed_gives_the_same(self, kind: DemoKind) -> None:
        assert chosen(kind, "card", 3, seed=4) == chosen(kind, "card", 3, seed=4)

    def test_an_empty_bank_shows_nothing(self, kind: DemoKind) -> None:
        empty: Bank[str] = written_bank([], held_out=[])
        assert chosen(kind, "card", 3, bank=empty) == []

    def test_they_stand_before_the_item_with_what_people_answered(self, kind: DemoKind) -> None:
        asker, backend = gateway(lambda _: {"label": "bug"})
        annotator = LLMAnnotator(
            asker, SINGLE, GOAL, demonstrations=Demonstrations(bank(), kind, 2)
        )
        annotator.annotate([Item("x", "card")], ENCODER.encode(["card"]))
        (shown,) = shown_to(backend)
        assert len(shown) == 3
        assert shown[-1] == "card"
        body = backend.asked[0].messages[1].content
        for text in shown[:2]:
            answer = dict(EXAMPLES)[text]
            assert f"{text}\n</text-" in body
            assert f'Answer:\n"{answer}"' in body


@pytest.mark.parametrize("kind", ["nearest", "nearest_per_class", "cover"])
def test_the_most_similar_stands_last(kind: DemoKind) -> None:
    found = chosen(kind, "my card payment", 5)
    assert (np.diff(similarity("my card payment", found)) >= -1e-6).all()


def test_nearest_takes_the_most_similar() -> None:
    texts = [text for text, _ in EXAMPLES]
    best = np.argsort(-similarity("card payment charge", texts), kind="stable")[:2]
    assert set(chosen("nearest", "card payment charge", 2)) == {texts[place] for place in best}


def test_nearest_per_class_shows_every_class() -> None:
    found = chosen("nearest_per_class", "card payment charge", 3)
    assert sorted(dict(EXAMPLES)[text] for text in found) == ["billing", "bug", "praise"]
    found = chosen("nearest_per_class", "card payment charge", 5)
    labels = sorted(dict(EXAMPLES)[text] for text in found)
    assert labels == ["billing", "billing", "bug", "bug", "praise"]


def test_fixed_are_the_same_for_all_items_and_show_every_class() -> None:
    one, two = chosen("fixed", "card", 3, seed=1), chosen("fixed", "thanks", 3, seed=1)
    assert one == two
    assert sorted(dict(EXAMPLES)[text] for text in one) == ["billing", "bug", "praise"]
    assert any(chosen("fixed", "card", 3, seed=seed) != one for seed in range(2, 8))


def test_cover_leaves_out_what_another_one_stands_for() -> None:
    twins = [("card card payment", "billing"), ("card payment", "billing"), ("crash", "bug")]
    assert "crash" in chosen("cover", "other", 2, bank=bank(twins))


def test_clean_only_keeps_what_a_learner_agrees_with() -> None:
    said = ["billing", "bug", "billing", "bug", None, "billing"]
    clean = bank().clean(said)
    assert [each.item.id for each in clean.shown] == ["e0", "e2", "e3"]
    assert clean.vectors is not None
    assert len(clean.vectors) == 3
    with pytest.raises(UserError, match="2 predictions for 6 demonstrations"):
        bank().clean(["bug", "bug"])


def test_items_that_share_a_call_share_as_many_demonstrations_as_one_has() -> None:
    asker, backend = gateway(
        lambda _: {"answers": [{"index": 1, "label": "bug"}, {"index": 2, "label": "bug"}]}
    )
    texts = ["card payment", "app crash screen"]
    annotator = LLMAnnotator(
        asker, SINGLE, GOAL, demonstrations=Demonstrations(bank(), "nearest", 3), items_per_call=2
    )
    annotator.annotate([Item(text, text) for text in texts], ENCODER.encode(texts))
    (shown,) = shown_to(backend)
    assert shown[-2:] == texts
    assert len(set(shown[:-2])) == 3
    # Neither item, nor a copy of one: the second is in the bank.
    assert not set(shown[:-2]) & set(texts)


@pytest.mark.parametrize("kind", ["nearest", "nearest_per_class", "cover"])
def test_vectors_are_asked_for_where_they_are_needed(kind: DemoKind) -> None:
    with pytest.raises(UserError, match="got None"):
        Demonstrations(bank(), kind).choose(SINGLE, [Item("x", "card")])
    with pytest.raises(UserError, match=r"\(1, 64\), got \(1, 3\)"):
        Demonstrations(bank(), kind).choose(
            SINGLE, [Item("x", "card")], np.zeros((1, 3), dtype=np.float32)
        )
    plain = written_bank([Shown(Item("a", "b"), "bug")], held_out=[])
    with pytest.raises(UserError, match="need the vectors of the bank"):
        Demonstrations(plain, kind)
    with pytest.raises(UserError, match="number is 0"):
        Demonstrations(bank(), kind, 0)


# --- the bank ---


def test_a_bank_is_made_by_its_two_functions_only() -> None:
    with pytest.raises(TypeError, match="training_bank"):
        Bank([], None, maker=object())


def test_what_is_held_out_can_not_be_shown() -> None:
    with pytest.raises(UserError, match="example 'e3' has the text of a held-out item"):
        bank(held_out=["APP crash screen."])
    with pytest.raises(UserError, match="1 vectors for 0 examples"):
        written_bank([], held_out=[], vectors=np.zeros((1, 2), dtype=np.float32))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder: Path = tmp_path_factory.mktemp("bank")
    with ran(folder, messages(300)) as (found, _):
        yield found


def test_a_projects_bank_has_what_people_labelled_for_training_and_no_gold_or_audit(
    project: Project,
) -> None:
    found = training_bank(project.store, project.pool)
    given = project.store.human_labels(("train",))
    assert {each.item.id: each.value for each in found.shown} == {
        project.pool.id(row): label for row, label in given.items()
    }
    held = project.store.human_labels(("gold", "audit"))
    assert held
    texts = {normalise(project.pool.text(row)) for row in held}
    assert not texts & {normalise(each.item.text) for each in found.shown}


def test_an_item_that_was_ever_asked_as_gold_or_audit_is_left_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if a person had later labelled gold and audit items for training too.
    everything = project.store.human_labels()
    inner = type(project.store).human_labels
    monkeypatch.setattr(
        type(project.store),
        "human_labels",
        lambda self, purposes=(): (
            everything if purposes == ("train",) else {} if purposes else inner(self, purposes)
        ),
    )
    rows = training_rows(project.store, project.pool)
    held = {
        question.row
        for review in project.store.reviews()
        if review.purpose in ("gold", "audit")
        for question in review.questions
    }
    assert held & set(everything)
    assert not held & set(rows.tolist())


def test_vectors_of_a_projects_bank_are_counted(project: Project) -> None:
    with pytest.raises(UserError, match="1 vectors for"):
        training_bank(project.store, project.pool, np.zeros((1, 4), dtype=np.float32))
