"""Several chat models, their prices, and what a wrong label costs: as given, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import sample
from labelwright.app.gateways import check_models, names_by_role, price_of
from labelwright.app.options import Options, checked_labels, options_of
from labelwright.app.plan import make_plan
from labelwright.models.chat import load_backend
from labelwright.store.errors import UserError
from labelwright.store.spec import Settings
from scripted import ScriptedBackend

SERVERS = tuple(f"openai:m{n}@http://127.0.0.1:9/v1" for n in range(3))


def given(**changed: Any) -> Options:
    return options_of(goal="Sort into a and b", data="x.csv", labels="a,b", **changed)


def test_the_first_model_is_the_main_one_and_the_others_its_committee() -> None:
    found = given(llm=SERVERS, price_in=(1.0, 2.0, 3.0))
    assert (found.llm, found.committee) == (SERVERS[0], SERVERS[1:])
    assert (found.price_in, found.committee_prices_in) == (1.0, (2.0, 3.0))
    assert names_by_role(found) == {
        "main": SERVERS[0],
        "member-2": SERVERS[1],
        "member-3": SERVERS[2],
        "strong": "none",
    }


def test_one_model_or_none_is_as_before() -> None:
    for llm in ("m", ["m"], ("m",)):
        assert (given(llm=llm).llm, given(llm=llm).committee) == ("m", ())
    assert given(llm=()) == given() == given(llm="none")
    assert given(llm="m", price_in=2.0).price_in == 2.0


def test_each_model_has_its_own_price() -> None:
    found = given(llm=SERVERS, price_in=(1.0, 2.0, 3.0), price_out=(0.0, 4.0, 0.0))
    for place, role in enumerate(("main", "member-2", "member-3")):
        backend = load_backend(SERVERS[place])
        assert backend is not None
        price = price_of(found, role, backend)
        assert price is not None
        assert price.usd(1_000_000, 0) == pytest.approx(place + 1.0)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"llm": SERVERS, "price_in": (1.0, 2.0)}, "--price-in is given 2 times for 3 chat models"),
    ({"llm": (SERVERS[0], "none")}, "--llm none among several"),
    ({"llm": (SERVERS[0], SERVERS[0])}, "is given twice"),
    ({"llm": SERVERS[:2], "strong_llm": SERVERS[1]}, "is given twice"),
    ({"llm": SERVERS[:2], "price_in": (1.0, -1.0)}, "price is -1.0: give 0 or more"),
    ({"wrong_label_usd": 1.0}, "left to a chat model: give one with --llm"),
    ({"wrong_label_usd": 1.0, "llm": "m"}, "give --label-price"),
    (
        {"wrong_label_usd": 0.0, "llm": "m", "label_price": 0.1},
        "--wrong-label-usd 0.0 is no amount",
    ),
    ({"wrong_label_usd": float("nan"), "llm": "m", "label_price": 0.1}, "is no amount"),
]


@pytest.mark.parametrize(("changed", "message"), WRONG)
def test_what_does_not_go_together_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked_labels(given(**changed))


def test_cost_cannot_decide_where_a_price_is_not_known() -> None:
    models = {"llm": ("scripted:a", "scripted:b"), "label_price": 0.1}
    unknown = ScriptedBackend(lambda _: "", name="scripted:b", price_of=("openai", "no-such"))
    chat = {"main": ScriptedBackend(lambda _: "", name="scripted:a"), "member-2": unknown}
    check_models(given(**models), chat)
    with pytest.raises(UserError, match="--wrong-label-usd cannot be weighed"):
        check_models(given(**models, wrong_label_usd=2.0), chat)
    check_models(given(**models, wrong_label_usd=2.0, price_in=(1.0, 1.0)), chat)


def test_a_plan_says_what_each_member_would_cost(tmp_path: Path) -> None:
    plan = make_plan(
        goal="Sort into delivery, returns, billing, product_question and account",
        data=str(sample(tmp_path / "data.csv")),
        text_columns=("text",),
        human_labels=60,
        learner="linear",
        llm=SERVERS[:2],
        price_in=(1.0, 2.0),
        price_out=(1.0, 2.0),
    )
    first, (second,) = plan["chat_model"], plan["committee"]
    assert (first["model"], second["model"]) == SERVERS[:2]
    assert second["usd_at_most"] == pytest.approx(2 * first["usd_at_most"], rel=1e-3)


def test_settings_of_an_earlier_version_have_no_committee() -> None:
    old = Settings.model_validate_json('{"data": "x.csv", "text_columns": ["text"], "llm": "m"}')
    assert old.members == ("m",)
    assert old.wrong_label_usd is None
    assert Settings.model_validate_json(old.model_dump_json()) == old
