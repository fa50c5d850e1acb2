"""The chat models of a run, opened as its settings say and closed at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..store.errors import UserError

if TYPE_CHECKING:
    from ..models.llm.base import Backend
    from ..models.llm.gateway import Gateway
    from ..models.llm.prices import Price
    from ..store.spec import Settings
    from .options import Options


@contextmanager
def open_gateways(settings: Settings, chat: Any, usd: float | None) -> Iterator[dict[str, Gateway]]:
    """The chat models by role (see `tools.base.ModelRole`), each behind its gateway.

    Args:
        settings: what they are called, what they cost, where answers are kept.
        chat: in place of the main one: a `Backend`, or a LangChain chat model; or several by role,
            `{"main": …, "member-2": …, "strong": …}`.
        usd: the run's budget; `None` for none.

    Raises:
        UserError: no such model, a package is missing, or the budget cannot be kept since a price
            is not known.
        OperatorError: the cache cannot be used.
    """
    from ..models.chat import load_backend

    with ExitStack() as stack:
        given = dict(chat) if isinstance(chat, Mapping) else {"main": chat}
        yield {
            role: _gateway(stack, settings, role, backend, usd)
            for role, name in names_by_role(settings).items()
            if (backend := _given(given.get(role), name) or load_backend(name)) is not None
        }


def check_models(options: Options, chat: Any) -> None:
    """Find out before anything is written whether the chat models can be had and paid.

    Raises:
        UserError: no such model, a package is missing, or a price is needed and not known.
    """
    from ..models.chat import load_backend

    given = dict(chat) if isinstance(chat, Mapping) else {"main": chat}
    for role, name in names_by_role(options).items():
        backend = _given(given.get(role), name) or load_backend(name)
        if backend is not None:
            _price(options, role, backend, options.usd)


def names_by_role(settings: Settings | Options) -> dict[str, str]:
    """The chat models' strings by role: `main`, `member-2`, `member-3`, …, and `strong`."""
    further = {f"member-{place}": name for place, name in enumerate(settings.committee, start=2)}
    return {"main": settings.llm, **further, "strong": settings.strong_llm}


def _given(chat: Any, name: str) -> Backend | None:
    """A chat model that the caller made, if one is given."""
    if chat is None:
        return None
    from ..models.llm.base import Backend as Protocol

    if isinstance(chat, Protocol):
        return chat
    from ..models.llm.backends.langchain import LangChainBackend, priced_as

    return LangChainBackend(chat, "" if name == "none" else name, price_of=priced_as(chat))


def _gateway(
    stack: ExitStack, settings: Settings, role: str, backend: Backend, usd: float | None
) -> Gateway:
    from ..models.llm.cache import AnswerCache, default_path
    from ..models.llm.gateway import Gateway
    from ..models.llm.session import Limits

    price = _price(settings, role, backend, usd)
    cache = None
    if settings.llm_cache != "none":
        cache = AnswerCache(Path(settings.llm_cache) if settings.llm_cache else default_path())
    limits = Limits(concurrency=settings.llm_concurrency, per_second=settings.llm_rate)
    gateway = Gateway(backend, cache=cache, price=price, limits=limits)
    stack.callback(gateway.close)
    return gateway


def price_of(options: Options, role: str, backend: Backend) -> Price | None:
    """What the tokens of a role's chat model cost; `None` where nobody knows."""
    return _price(options, role, backend, options.usd)


def _price(
    settings: Settings | Options, role: str, backend: Backend, usd: float | None
) -> Price | None:
    from ..models.llm.gateway import price_for

    price = price_for(backend, *_prices(settings, role))
    if price is not None or (usd is None and settings.wrong_label_usd is None):
        return price
    option = "--strong-price" if role == "strong" else "--price"
    what = (
        f"the budget of {usd!r} US dollars cannot be kept"
        if usd is not None
        else "--wrong-label-usd cannot be weighed against what a model costs"
    )
    raise UserError(
        f"{what}: the price of {backend.name!r} is not known; give {option}-in and {option}-out "
        "(US dollars for a million tokens)"
    )


def _prices(settings: Settings | Options, role: str) -> tuple[float, float]:
    """What the person said a role's tokens cost, read and written; 0 where nothing was said."""
    if role == "strong":
        return settings.strong_price_in, settings.strong_price_out
    if role == "main":
        return settings.price_in, settings.price_out
    place = int(role.removeprefix("member-")) - 2
    read, written = settings.committee_prices_in, settings.committee_prices_out
    return (read[place] if read else 0.0), (written[place] if written else 0.0)
