"""Chat models by one string."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..store.errors import OperatorError, UserError

if TYPE_CHECKING:
    from .llm.base import Backend
    from langchain_core.language_models import BaseChatModel

FORMS = (
    "none, openai:MODEL@URL or vllm:MODEL@URL (a server that speaks OpenAI's protocol), or "
    "provider:MODEL as LangChain's init_chat_model knows it (openai:gpt-…, anthropic:claude-…)"
)
SERVED = ("openai", "vllm")


def load_chat_model(name: str) -> BaseChatModel | None:
    """The chat model of a string; `None` for `none`.

    Raises:
        UserError: the string has none of the known forms, or a package or key is missing; the
            message says what to install or set.
    """
    if name == "none":
        return None
    provider, _, rest = name.partition(":")
    model, _, url = rest.partition("@")
    if not provider or not model:
        raise UserError(f"--llm {name!r} is not a chat model: use {FORMS}")
    if url and provider in SERVED:
        return _served(model, url)
    if url or provider == "vllm":
        raise UserError(f"--llm {name!r}: only openai:MODEL@URL and vllm:MODEL@URL name a server")
    return _known(name)


def _served(model: str, url: str) -> BaseChatModel:
    if not url.startswith(("http://", "https://")):
        raise UserError(f"--llm: {url!r} is not a URL: begin it with http:// or https://")
    try:
        from langchain_openai import ChatOpenAI
    except ImportError:
        raise UserError(
            "a server needs langchain-openai: `pip install 'labelwright[llm]'`"
        ) from None
    key = os.environ.get("OPENAI_API_KEY") or "none"
    return ChatOpenAI(model=model, base_url=url, api_key=key, temperature=0, max_retries=3)  # type: ignore[arg-type]


def _known(name: str) -> BaseChatModel:
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise UserError("chat models need LangChain: `pip install 'labelwright[llm]'`") from None
    try:
        return init_chat_model(name, temperature=0)
    except (ImportError, ValueError) as error:
        raise UserError(f"--llm {name!r}: {' '.join(str(error).split())}; use {FORMS}") from None
    except Exception as error:
        # Each provider's client has its own error for a missing key; all of them say which.
        raise OperatorError(f"--llm {name!r} cannot be used: {error}") from error


def load_backend(name: str) -> Backend | None:
    """Replaced by the back ends."""
    if name == "none":
        return None
    raise UserError(f"--llm {name!r}")
