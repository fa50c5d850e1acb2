"""Demonstrations: the right ones, in the right order, and never one that spoils a measurement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from annotating import GOAL, NAMES, SINGLE, gateway, shown_to, texts_in
from labelwright.store.database import Store
from labelwright.store.errors import UserError
from labelwright.store.events import RunEvent
from labelwright.store.pool import Pool
from labelwright.store.records import (
    Annotation,
    AnnotatorKind,
    Purpose,
    Question,
    ReviewRequest,
)
from labelwright.store.trace import Place
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
from labelwright.tools.duplicates import duplicate_groups
from numpy.typing import NDArray
from support import HashEncoder

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


def shared(number: int, *texts: str) -> list[str]:
    """The demonstrations of items that are asked in one message."""
    given = Demonstrations(bank(), "nearest", number)
    annotator = LLMAnnotator(
        gateway(lambda _: {})[0], SINGLE, GOAL, demonstrations=given, items_per_call=len(texts)
    )
    (request,) = annotator.requests([Item(text, text) for text in texts], ENCODER.encode(texts))
    found = texts_in(request)
    assert found[-len(texts) :] == list(texts)
    return found[: -len(texts)]


def test_items_that_share_a_call_share_as_many_demonstrations_as_one_has() -> None:
    texts = ("invoice payment", "app crash")
    found = shared(2, *texts)
    # The nearest of each.
    assert sorted(found) == ["app crash screen", "invoice payment charge"]
    assert len(shared(4, *texts)) == 4


def test_what_is_a_copy_of_one_item_is_not_shown_to_its_neighbour() -> None:
    assert "refund my card" in shared(3, "my card refund please", "other words")
    assert "refund my card" not in shared(3, "my card refund please", "Refund my card!")


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


ROWS: dict[int, tuple[AnnotatorKind, Purpose]] = {
    0: ("human", "train"),
    1: ("simulated", "train"),
    2: ("embedded", "accept"),
    3: ("human", "gold"),
    4: ("human", "audit"),
    5: ("human", "train"),
    6: ("human", "train"),
    7: ("embedded", "suggest"),
    8: ("human", "train"),
}
"""Of these, 0, 1 and 8 may be shown: 5 was put before a person as audit item later and never
answered, 6 has the text of gold item 3, and the others are not what people labelled to train."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[tuple[Store, Pool]]:
    texts = [f"text {row}" for row in range(10)]
    texts[6] = texts[3]
    Pool.write(tmp_path, pa.array([f"m{row}" for row in range(10)]), pa.array(texts), None)
    pool = Pool(tmp_path)
    pool.write_groups(duplicate_groups(texts))
    store = Store.create(tmp_path)
    with store.transaction(Place("run", 1, "act")) as writer:
        writer.annotate(
            Annotation(row, f"m{row}", kind, "someone", "1", purpose, NAMES[row % 3])
            for row, (kind, purpose) in ROWS.items()
        )
        writer.open_review(ReviewRequest("audit-1", "audit", (Question(5),), 1))
        writer.event("start", RunEvent(what="started"))
    yield store, Pool(tmp_path)
    store.close()


def test_a_projects_bank_has_what_people_labelled_to_train_and_no_gold_or_audit(
    project: tuple[Store, Pool],
) -> None:
    store, pool = project
    assert training_rows(store, pool).tolist() == [0, 1, 8]
    found = training_bank(store, pool, np.eye(3, dtype=np.float32))
    shown = [(each.item.id, each.item.text, each.value) for each in found.shown]
    assert shown == [
        ("m0", "text 0", "billing"),
        ("m1", "text 1", "bug"),
        ("m8", "text 8", "praise"),
    ]


def test_vectors_of_a_projects_bank_are_counted(project: tuple[Store, Pool]) -> None:
    with pytest.raises(UserError, match="1 vectors for 3 items"):
        training_bank(*project, np.zeros((1, 4), dtype=np.float32))


def test_a_project_without_labels_has_an_empty_bank(tmp_path: Path) -> None:
    Pool.write(tmp_path, pa.array(["m0"]), pa.array(["text"]), None)
    Pool(tmp_path).write_groups(np.zeros(1, dtype=np.int64))
    store = Store.create(tmp_path)
    assert len(training_bank(store, Pool(tmp_path))) == 0
    store.close()
