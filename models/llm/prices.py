"""What a call costs in US dollars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MILLION = 1_000_000


class Price(Protocol):
    """Turns tokens into money."""

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """What one call with so many tokens read and written costs, in US dollars."""
        ...


@dataclass(frozen=True, slots=True)
class FlatPrice:
    """US dollars for a million tokens read, and for a million tokens written."""

    per_million_in: float
    per_million_out: float

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """See `Price.usd`."""
        return (tokens_in * self.per_million_in + tokens_out * self.per_million_out) / MILLION


FREE = FlatPrice(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """The price of a model as the package `genai-prices` lists it (steps by prompt length too)."""

    provider: str
    model: str

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """See `Price.usd`."""
        from genai_prices import Usage, calc_price

        usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out)
        return float(calc_price(usage, self.model, provider_id=self.provider).total_price)


def listed_price(provider: str, model: str) -> ListedPrice | None:
    """The listed price of a model; `None` where none is listed or the package is missing."""
    found = ListedPrice(provider, model)
    try:
        found.usd(1, 1)
    except (ImportError, LookupError, ValueError):
        return None
    return found
