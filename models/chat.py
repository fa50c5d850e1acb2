"""Chat models by one string: what `--llm` takes, and what stands behind it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from ..store.errors import OperatorError, UserError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from .llm.base import Backend

FORMS = (
    "none, openai:MODEL@URL or vllm:MODEL@URL (a server that speaks OpenAI's protocol), "
    "vllm:MODEL or hf:MODEL (in this process), replay:FILE#NAME (recorded answers), or "
    "provider:MODEL as LangChain's init_chat_model knows it (openai:gpt-…, anthropic:claude-…)"
)
SERVED = ("openai", "vllm")
LOCAL = ("ollama", "huggingface")


def load_backend(name: str) -> Backend | None:
    """What answers for a chat model's string; `None` for `none`.

    Nothing is connected and no weights are loaded before the first question.

    Raises:
        UserError: the string has none of the known forms, or a package or file is missing; the
            message says what to install or write.
        OperatorError: the provider's key is missing.
    """
    if name == "none":
        return None
    provider, _, rest = name.partition(":")
    if not provider or not rest:
        raise UserError(f"--llm {name!r} is not a chat model: use {FORMS}")
    if provider == "replay":
        from .llm.backends.replay import replayed

        return replayed(rest)
    if provider == "hf":
        from .llm.backends.hf import TransformersBackend

        return TransformersBackend(rest)
    model, _, url = rest.partition("@")
    if not model:
        raise UserError(f"--llm {name!r} is not a chat model: use {FORMS}")
    if url and provider not in SERVED:
        raise UserError(f"--llm {name!r}: only openai:MODEL@URL and vllm:MODEL@URL name a server")
    if provider == "vllm" and not url:
        from .llm.backends.vllm_engine import EngineBackend

        return EngineBackend(model)
    if provider in SERVED:
        return _served("vllm" if provider == "vllm" else "openai", model, url)
    return _known(name, provider, model)


def _served(provider: Literal["openai", "vllm"], model: str, url: str) -> Backend:
    from .llm.backends.served import ServedBackend, Server

    key = os.environ.get("OPENAI_API_KEY", "")
    if not key and not url:
        raise OperatorError(
            f"--llm 'openai:{model}' cannot be used: set OPENAI_API_KEY, or name a server of your "
            f"own, openai:{model}@URL"
        )
    return ServedBackend(Server(provider, model, url or None, key or "none"))


def _known(name: str, provider: str, model: str) -> Backend:
    from .llm.backends.langchain import LangChainBackend

    # What LangChain runs on this machine costs nothing; of all others the price must be known.
    price_of = None if provider in LOCAL else (provider, model)
    return LangChainBackend(_initialised(name), name, price_of=price_of)


def _initialised(name: str) -> BaseChatModel:
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
