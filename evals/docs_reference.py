"""The reference page, made from the code so that it cannot say anything else.

python -m labelwright.evals.docs_reference > docs/reference.md
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, get_args

import click

from ..agent.approval import RULES
from ..agent.legal import PRECONDITIONS
from ..agent.recipes import RECIPES
from ..app.cli import cli
from ..models import learners
from ..store.events import Event
from ..tools.registry import TOOLS
from ..tools.strategies import STRATEGIES, WRAPPERS
from ..tools.strategies.wrappers import usage

WIDTH = 96
HEAD = """# Reference

Made from the code by `python -m labelwright.evals.docs_reference`; a test compares the two.
"""


def reference() -> str:
    """The whole page as Markdown."""
    parts = [
        HEAD,
        _section("Command line", _commands()),
        _section("Tools", _tools()),
        _section("Preconditions", _preconditions()),
        _section("Approval rules", _approval()),
        _section("Acquisition strategies", _strategies()),
        _section("Wrappers", _wrappers()),
        _section("Recipes", _recipes()),
        _section("Learners", _learners()),
        _section("Trace events", _events()),
    ]
    return "\n".join(parts)


def _section(title: str, parts: Iterable[str]) -> str:
    return f"## {title}\n\n" + "\n".join(parts)


def _commands() -> Iterator[str]:
    parent = _context(cli, "labelwright", None)
    yield _help(parent)
    for name, command in cli.commands.items():
        yield f"### labelwright {name}\n"
        yield _help(_context(command, name, parent))


def _help(context: click.Context) -> str:
    return f"```text\n{context.get_help()}\n```\n"


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    # A fixed width: the page must not depend on the terminal it was made in.
    settings: dict[str, Any] = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    settings |= command.context_settings
    return click.Context(command, info_name=name, parent=parent, **settings)


def _tools() -> Iterator[str]:
    for tool in TOOLS.values():
        yield f"### {tool.name}\n\n{tool.description}\n"
        schema = tool.Args.model_json_schema()
        rows = [
            (f"`{name}`", _kind(field), _default(field), field.get("description", ""))
            for name, field in schema.get("properties", {}).items()
        ]
        yield _table(("argument", "values", "default", "meaning"), rows) if rows else _NO_ARGS


_NO_ARGS = "No arguments.\n"


def _kind(field: Mapping[str, Any]) -> str:
    """What a field of a JSON schema may hold, in words."""
    if "anyOf" in field:
        return " or ".join(_kind(each) for each in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = "none" if field.get("type") == "null" else str(field.get("type", "any"))
    if "minimum" in field and "maximum" in field:
        return f"{kind}, {field['minimum']} to {field['maximum']}"
    return kind


def _default(field: Mapping[str, Any]) -> str:
    return f"`{field['default']}`" if "default" in field else "required"


def _preconditions() -> Iterator[str]:
    yield "A tool may be called while all of its preconditions hold.\n"
    rows = [(f"`{name}`", "; ".join(text for text, _ in facts)) for name, facts in _legal()]
    yield _table(("tool", "preconditions"), rows)


def _legal() -> Iterable[tuple[str, Any]]:
    return PRECONDITIONS.items()


def _approval() -> Iterator[str]:
    yield "The first rule that matches a decision answers; where none matches, a person is asked.\n"
    rows = [
        (f"`{level}`", rule.name, "asks" if rule.answer == "ask" else "goes ahead")
        for level, rules in RULES.items()
        for rule in rules
    ]
    rows += [(f"`{level}`", "no rule", "asks") for level, rules in RULES.items() if not rules]
    yield _table(("autonomy", "rule", "answer"), rows)


def _strategies() -> Iterator[str]:
    rows = [
        (f"`{name}`", ", ".join(sorted(one.needs)) or "nothing", _first_line(type(one)))
        for name, one in STRATEGIES.items()
    ]
    yield _table(("strategy", "needs", "what it does"), rows)


def _wrappers() -> Iterator[str]:
    yield "Strategies around strategies, written as here; what is left out at the end is as here.\n"
    rows = [(f"`{usage(one)}`", _first_line(one)) for one in WRAPPERS.values()]
    yield _table(("wrapper", "what it does"), rows)


def _recipes() -> Iterator[str]:
    yield "A recipe names the strategy before there is a model, and the one after.\n"
    rows = [(f"`{one.name}`", f"`{one.cold}`", f"`{one.warm}`", one.warm_reason) for one in RECIPES]
    yield _table(("recipe", "first", "then", "why"), rows)


def _learners() -> Iterator[str]:
    rows = [
        (
            f"`{name}`",
            _first_line(getattr(import_module(module, learners.__name__), attribute)),
        )
        for name, (module, attribute) in learners.LEARNERS.items()
    ]
    yield _table(("learner", "what it is"), rows)


def _events() -> Iterator[str]:
    yield "Every event also has `wrote`: counts and SHA-256 of the rows written with it.\n"
    kinds = get_args(get_args(Event)[0])
    rows = []
    for kind in kinds:
        names = [name for name in kind.model_fields if name not in ("type", "wrote")]
        fields = ", ".join(f"`{name}`" for name in names)
        rows.append((f"`{kind.model_fields['type'].default}`", _first_line(kind), fields))
    yield _table(("event", "meaning", "fields"), rows)


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").split("\n\n")[0].replace("\n", " ")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells)


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(reference())


if __name__ == "__main__":
    main()
