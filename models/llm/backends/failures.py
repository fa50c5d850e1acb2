"""From what a provider's client raises to the kinds of failure that the gateway knows.

Clients differ in their exceptions and agree in what they carry: an HTTP status, headers and the
server's words. Those are read here, so that no client has to be imported to understand it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..base import Failure, FailureKind

_CONTEXT = re.compile(
    r"context[ _-]?(length|window|size)|(prompt|input|request|message)s? (is|are) too long"
    r"|maximum (input|model|sequence) length|max_model_len|too many input tokens",
    re.IGNORECASE,
)
_SPENT = re.compile(r"insufficient_quota|exceeded your current quota|billing", re.IGNORECASE)
_STATUS: dict[int, FailureKind] = {
    401: "auth",
    402: "auth",
    403: "auth",
    408: "timeout",
    409: "server",
    413: "context",
    425: "server",
    429: "rate",
}
SHOWN = 500
"""Characters of a server's words that are kept."""


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception of some client means.

    A status and the server's words decide; without a status the exception's name does. What is
    not understood is of kind `request`, which is not tried again.
    """
    status = _status(error)
    words = _words(error)
    if status is not None:
        return Failure(_of_status(status, words), f"HTTP {status}: {words}", _retry_after(error))
    return Failure(_of_name(error), words)


def _of_status(status: int, words: str) -> FailureKind:
    if status == 429 and _SPENT.search(words):
        # No waiting helps where the account has no money left.
        return "auth"
    if status in _STATUS:
        return _STATUS[status]
    if status >= 500:
        return "server"
    return "context" if _CONTEXT.search(words) else "request"


def _of_name(error: BaseException) -> FailureKind:
    names = " ".join(kind.__name__ for kind in type(error).__mro__)
    if "Timeout" in names:
        return "timeout"
    if isinstance(error, OSError) or re.search(r"Connect|Network|RemoteProtocol|ReadError", names):
        return "connection"
    return "context" if _CONTEXT.search(str(error)) else "request"


def _status(error: BaseException) -> int | None:
    for name in ("status_code", "code"):
        found = getattr(error, name, None)
        if isinstance(found, int) and 400 <= found < 600:
            return found
    return None


def _words(error: BaseException) -> str:
    """What went wrong, with the cause that clients hide behind "Connection error."."""
    said = " ".join(str(error).split()) or type(error).__name__
    cause = error.__cause__
    if cause is not None and _status(error) is None and str(cause) and str(cause) not in said:
        said = f"{said} ({type(cause).__name__}: {' '.join(str(cause).split())})"
    return said if len(said) <= SHOWN else said[:SHOWN] + "…"


def _retry_after(error: BaseException) -> float | None:
    response = getattr(error, "response", None)
    headers: Mapping[str, Any] = getattr(response, "headers", None) or {}
    # Dates are allowed here too; servers of models send seconds.
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, TypeError, ValueError):
            continue
    return None
