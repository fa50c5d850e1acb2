"""Who is paid for a call, as the package `genai-prices` names providers."""

from __future__ import annotations

from urllib.parse import urlsplit


def provider_at(url: str) -> str | None:
    """The provider whose address this is; `None` for this machine and for unknown addresses."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.replace(".", "").isdigit() or ":" in host:
        return None
    try:
        from genai_prices.data_snapshot import get_snapshot

        return get_snapshot().find_provider(None, None, url).id
    except (ImportError, LookupError):
        return None


def is_provider(name: str) -> bool:
    """Whether prices are listed for a provider of this name."""
    try:
        from genai_prices.data_snapshot import get_snapshot

        get_snapshot().find_provider(None, name, None)
    except (ImportError, LookupError):
        return False
    return True
