"""Keeps pool text apart from what is said to the model: marks that no text can forge.

The marks carry a code that is taken from the texts themselves and made anew until none of them
holds it. So no text can close its own fence, and the same texts always give the same prompt.

A fence of words does not help against marks that a tokenizer turns into control tokens
(`<|im_end|>` in a text would end the user's turn): those are spaced out.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

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


def fenced(text: str, code: str) -> str:
    """The text between the two marks of a code, each on a line of its own."""
    return f"<text-{code}>\n{text}\n</text-{code}>"


def defused(text: str) -> str:
    """The text with the control marks of chat templates spaced out, all else as it is."""
    return _CONTROL.sub(lambda found: f"{found[0]} ", text)
