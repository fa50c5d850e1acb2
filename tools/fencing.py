"""Showing untrusted texts to a chat model so that no text can end its fence.

One text is shown as it stands, so that a model can quote it: between marks with a code that is
taken from the texts themselves and made anew until none of them holds it. So no text can close its
own fence, and the same texts always give the same prompt. A fence of words does not help against
marks that a tokenizer turns into control tokens (`<|im_end|>` in a text would end the user's
turn): those are spaced out.

In a list each text is a JSON string on a line of its own between two tags. Within it `<`, all line
ends and the marks of chat templates (`[INST]`) are escaped: a text can write neither the closing
tag nor a line that looks like another item, nor end the user's turn.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from ..models.pairs import is_pair, split_pair

DIGITS = 10
"""Hex digits of a code."""
_CONTROL = re.compile(
    r"""
    <(?=[|｜][^<>\n]{1,60}[|｜]>)            # <|im_end|>, <|eot_id|>, <｜User｜>
    | <(?=/?(?:s|bos|eos|pad|unk|mask|think|tool_call|tool_response)>)
    | <(?=(?:start|end)_of_turn>)
    | <(?=</?SYS>>)
    | \[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|CLS|SEP|MASK|PAD)\])
    """,
    re.VERBOSE,
)
"""Marks of the chat templates and tokenizers in common use, up to what opens them."""
SHOWN_CHARACTERS = 1_000
"""Characters of a text that a prompt shows; the rest is cut off, and the text says so."""
CUT = " [cut]"
# `<`, marks in brackets, line ends that JSON leaves, and what hides or reorders what follows it.
_ESCAPED = re.compile(r"[<\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff]|\[(?=/?[A-Z_]{1,30}\])")


def fence_code(texts: Sequence[str]) -> str:
    """A code of hex digits that stands in none of the texts, whatever their case or width."""
    plain = [unicodedata.normalize("NFKC", text).casefold() for text in texts]
    joined = "\x1f".join(texts)
    salt = 0
    while True:
        code = hashlib.sha256(f"{salt}\x1f{joined}".encode()).hexdigest()[:DIGITS]
        if not any(code in text for text in plain):
            return code
        salt += 1


def fenced_text(text: str, code: str) -> str:
    """The text between the two marks of a code, each on a line of its own."""
    return f"<text-{code}>\n{text}\n</text-{code}>"


def defused(text: str) -> str:
    """The text with the control marks of chat templates spaced out, all else as it is."""
    return _CONTROL.sub(lambda found: f"{found[0]} ", text)


def fenced_texts(texts: Sequence[str], *, first: int = 1) -> str:
    """Texts with their numbers, one a line, within a fence that none of them can end.

    Args:
        texts: what to show; of each at most `SHOWN_CHARACTERS`. Pairs show both texts.
        first: the number of the first text.
    """
    return fenced_records(
        {"index": first + place, **_parts(text)} for place, text in enumerate(texts)
    )


def fenced_records(items: Iterable[Mapping[str, object]]) -> str:
    """Records, one JSON object a line, between `<items>` and `</items>`."""
    lines = [_ESCAPED.sub(_escape, json.dumps(dict(each), ensure_ascii=False)) for each in items]
    return "\n".join(["<items>", *lines, "</items>"])


def shown(text: str) -> str:
    """The part of a text that is shown."""
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + CUT


def _parts(text: str) -> dict[str, str]:
    if is_pair(text):
        first, second = split_pair(text)
        return {"first": shown(first), "second": shown(second)}
    return {"text": shown(text)}


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
