"""Loads the page and card templates; what goes into an HTML page is escaped by the template."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .summary import inert

if TYPE_CHECKING:
    from jinja2 import Template

_SPECIAL = re.compile(r"([\\`*_{}\[\]|#~$])")


def page(name: str, folder: Path = Path(__file__).parent / "templates") -> Template:
    """A template by file name; names ending in `.html` escape all values, and none may be missing.

    Args:
        name: file name in the folder of templates.
        folder: where the templates are; by default those of the tools.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = as_markdown
    return environment.get_template(name)


def as_markdown(text: object) -> str:
    """Text of unknown origin as one line of Markdown that shows it and does nothing else."""
    line = " ".join(inert(str(text)).split())
    quoted = _SPECIAL.sub(r"\\\1", line)
    plain = quoted.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Addresses would be made into links by themselves.
    return plain.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
