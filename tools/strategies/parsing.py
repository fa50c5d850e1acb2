"""Reads the text of a composed strategy, such as `quota(gumbel(entropy), bins, 4)`.

strategy = NAME | WRAPPER "(" argument { "," argument } ")"
argument = strategy | number | word
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...store.errors import UserError
from .base import Strategy
from .wrappers import Wrapper, usage
from .wrappers.base import Argument, arguments

_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|[+-]?\d[\w.]*(?:(?<=[eE])[+-]\d+)?|\S)")
# Deeper than anyone composes; the text may come from a language model.
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class _Word:
    """A bare name that is no strategy: what it means is for the wrapper to say."""

    text: str


_Value = Strategy | float | _Word


def parse(
    text: str, strategies: Mapping[str, Strategy], wrappers: Mapping[str, type[Wrapper]]
) -> Strategy:
    """The strategy that a text describes.

    Args:
        text: a name, or a wrapper with its arguments in brackets.
        strategies: the plain ones, by name.
        wrappers: those that take others, by name.

    Raises:
        UserError: a name that is none, brackets that do not match, or arguments that do not fit;
            the message says what there is.
    """
    reader = _Reader(text, strategies, wrappers)
    found = reader.value(1)
    if isinstance(found, float | _Word):
        shown = found.text if isinstance(found, _Word) else text.strip()
        raise UserError(
            f"no strategy is called {shown!r}: use one of {', '.join(strategies)}, or a wrapper "
            f"around one: {_all_usages(wrappers)}"
        )
    reader.end()
    return found


class _Reader:
    """Reads one text from left to right."""

    def __init__(
        self, text: str, strategies: Mapping[str, Strategy], wrappers: Mapping[str, type[Wrapper]]
    ) -> None:
        self._text = text
        self._tokens = [*_TOKEN.findall(text), ""]
        self._place = 0
        self._strategies = strategies
        self._wrappers = wrappers

    def value(self, depth: int) -> _Value:
        token = self._next()
        if re.match(r"[+-]?\d", token):
            return self._number(token)
        if not token.isidentifier():
            raise self._unexpected(token, "a strategy")
        if self._tokens[self._place] == "(":
            return self._called(token, depth)
        if token in self._wrappers:
            raise UserError(
                f"wrapper {token!r} in {self._text!r} needs what it wraps: write "
                f"{usage(self._wrappers[token])}"
            )
        return self._strategies.get(token) or _Word(token)

    def end(self) -> None:
        token = self._next()
        if token:
            raise self._unexpected(token, "nothing more")

    def _called(self, name: str, depth: int) -> Strategy:
        if name not in self._wrappers:
            what = "is a strategy that takes none" if name in self._strategies else "is unknown"
            raise UserError(
                f"{name!r} has arguments in {self._text!r} and {what}: use "
                f"{_all_usages(self._wrappers)}"
            )
        if depth > _DEEPEST:
            raise UserError(f"{self._text[:80]!r} nests more than {_DEEPEST} deep: nest less")
        self._next()
        given = [self.value(depth + 1)]
        while (token := self._next()) == ",":
            given.append(self.value(depth + 1))
        if token != ")":
            raise self._unexpected(token, "',' or ')'")
        return _made(self._wrappers[name], given, self._strategies)

    def _number(self, token: str) -> float:
        try:
            return float(token)
        except ValueError:
            raise UserError(f"{token!r} in {self._text!r} is no number: write digits") from None

    def _next(self) -> str:
        token: str = self._tokens[self._place]
        # The mark at the end stays.
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def _unexpected(self, token: str, wanted: str) -> UserError:
        found = repr(token) if token else "the end"
        return UserError(
            f"found {found} in strategy {self._text!r} where {wanted} was expected: write a name, "
            "or a wrapper around names such as anchor(margin)"
        )


def _made(
    factory: type[Wrapper], given: Sequence[_Value], strategies: Mapping[str, Strategy]
) -> Wrapper:
    wanted, left = arguments(factory), list(given)
    fitted: list[object] = []
    for argument in wanted:
        if argument.kind == "strategies":
            inner: list[Strategy] = []
            while left and not isinstance(left[0], float):
                inner.append(_strategy(left.pop(0), factory, strategies))
            fitted.append(tuple(inner))
        elif left:
            fitted.append(_fitted(left.pop(0), argument, factory, strategies))
        elif argument.required:
            raise UserError(f"{argument.name!r} is absent in {factory.called}: {_write(factory)}")
    if left:
        raise UserError(f"{factory.called} got {_shown(left[0])} too many: {_write(factory)}")
    return factory(*fitted)


def _fitted(
    value: _Value,
    argument: Argument,
    factory: type[Wrapper],
    strategies: Mapping[str, Strategy],
) -> object:
    if argument.kind == "strategy":
        return _strategy(value, factory, strategies)
    if argument.kind == "word":
        if isinstance(value, _Word) and value.text in argument.words:
            return value.text
        wanted = f"one of {', '.join(argument.words)}"
    elif isinstance(value, float) and (argument.kind == "number" or value.is_integer()):
        return value if argument.kind == "number" else int(value)
    else:
        wanted = "a number" if argument.kind == "number" else "a whole number"
    raise UserError(
        f"{factory.called} got {_shown(value)} as {argument.name!r}, which is {wanted}: "
        f"{_write(factory)}"
    )


def _strategy(
    value: _Value, factory: type[Wrapper], strategies: Mapping[str, Strategy]
) -> Strategy:
    if isinstance(value, float | _Word):
        raise UserError(
            f"{factory.called} got {_shown(value)}, which is no strategy: {_write(factory)}, with "
            f"one of {', '.join(strategies)} or another wrapper"
        )
    return value


def _shown(value: _Value) -> str:
    if isinstance(value, _Word):
        return repr(value.text)
    return f"{value:g}" if isinstance(value, float) else repr(value.name)


def _write(factory: type[Wrapper]) -> str:
    return f"write {usage(factory)}"


def _all_usages(wrappers: Mapping[str, type[Wrapper]]) -> str:
    return ", ".join(usage(each) for each in wrappers.values())
