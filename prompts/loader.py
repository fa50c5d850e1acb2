"""Reads a prompt: a Markdown file with front matter that says what it is and what it needs.

The digest covers the whole file, so a changed prompt is seen in every record that names it.
"""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass
from importlib.resources import files

import yaml


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and its front matter."""

    name: str
    version: int
    purpose: str
    variables: tuple[str, ...]
    output: str
    """In words, the form of the answer."""
    body: str
    digest: str

    def fill(self, **values: str) -> str:
        """The text with its variables put in.

        Raises:
            ValueError: a variable is missing or not one of the prompt's.
        """
        if set(values) != set(self.variables):
            raise ValueError(
                f"prompt {self.name!r} takes {sorted(self.variables)}, got {sorted(values)}"
            )
        return string.Template(self.body).substitute(values)


def load_prompt(name: str) -> Prompt:
    """The prompt of that name from this package."""
    text = (files(__package__ or "labelwright.prompts") / f"{name}.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    meta = yaml.safe_load(front)
    return Prompt(
        name=meta["name"],
        version=meta["version"],
        purpose=meta["purpose"],
        variables=tuple(meta["variables"]),
        output=meta["output"],
        body=body.strip(),
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
    )
