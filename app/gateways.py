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
    """The chat models by role (`main`, `strong`), each behind its gateway.

    Args:
        settings: what they are called, what they cost, where answers are kept.
        chat: in place of the main one: a `Backend`, or a LangChain chat model; or several by role,
            `{"main": …, "strong": …}`.
        usd: the run's budget; `None` for none.

    Raises:
        UserError: no such model, a package is missing, or the budget cannot be kept since a price
            is not known.
        OperatorError: the cache cannot be used.
    """
    from ..models.chat import load_backend

    with ExitStack() as stack:
        names = {"main": settings.llm, "strong": settings.strong_llm}
        given = dict(chat) if isinstance(chat, Mapping) else {"main": chat}
        yield {
            role: _gateway(stack, settings, role, backend, usd)
            for role, name in names.items()
            if (backend := _given(given.get(role), name) or load_backend(name)) is not None
        }


def check_models(options: Options, chat: Any) -> None:
    """Find out before anything is written whether the chat models can be had and paid.

    Raises:
        UserError: no such model, a package is missing, or a price is needed and not known.
    """
    from ..models.chat import load_backend

    given = dict(chat) if isinstance(chat, Mapping) else {"main": chat}
    for role, name in (("main", options.llm), ("strong", options.strong_llm)):
        backend = _given(given.get(role), name) or load_backend(name)
        if backend is not None:
            _price(options, role, backend, options.usd)


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


def _price(
    settings: Settings | Options, role: str, backend: Backend, usd: float | None
) -> Price | None:
    from ..models.llm.gateway import price_for

    prices = (settings.price_in, settings.price_out)
    if role == "strong":
        prices = (settings.strong_price_in, settings.strong_price_out)
    price = price_for(backend, *prices)
    if price is None and usd is not None:
        option = "--strong-price" if role == "strong" else "--price"
        raise UserError(
            f"the budget of {usd!r} US dollars cannot be kept: the price of {backend.name!r} is "
            f"not known; give {option}-in and {option}-out (US dollars for a million tokens)"
        )
    return price
