"""The pages say what is so: their commands and examples run, their links and options exist.

On a page, `python` blocks run in one namespace and `console` blocks through the command line, in
the order in which they stand, in one empty folder with the sample as `messages.csv`. A comment
after a command says its exit code where that is not 0. Every line of output that a page shows
must come out, numbers and hashes aside; `…` stands for what was left out.
"""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import numpy as np
import pytest
from labelwright.app import runs
from labelwright.app.cli import cli, main
from labelwright.evals.docs_reference import reference
from labelwright.graphs.main import build_graph
from labelwright.models import encoders
from labelwright.models.compute import SILENT
from labelwright.models.encoders import Encoder, load_encoder
from labelwright.models.learners.tagging import linear as tagging
from labelwright.models.progress import Progress
from labelwright.store.schema import METADATA
from labelwright.store.spec import TaskSpec
from labelwright.tools.registry import TOOLS
from labelwright.tools.strategies import STRATEGIES, WRAPPERS
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAMPLE = ROOT / "evals" / "sample" / "support.csv"
PAGES = sorted(DOCS.glob("*.md"))
LINKED = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
WIDTH = 100
LEFT_OUT = "…"


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(text[: found.start()].count("\n") + 2, found[1], found[2])
        for found in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.M | re.S)
    ]


def prose(page: Path) -> str:
    """The page without commands of other programs, whose options are none of ours."""
    lines = page.read_text(encoding="utf-8").splitlines()
    other = re.compile(
        r"^\s*(\$\s+)?(?!.*labelwright )\S*(python3?|pytest|pip|make|git|ruff|mypy)\b"
    )
    return "\n".join(line for line in lines if not other.match(line))


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block, each with the output that is shown below it."""
    command, shown = "", list[str]()
    for line in block.text.splitlines():
        if command.endswith("\\"):
            command = command[:-1] + line.strip()
        elif line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], []
        else:
            shown.append(line)
    if command:
        yield command, shown


def masked(line: str) -> str:
    """A line without what differs from machine to machine: numbers, hashes, spaces."""
    line = re.sub(r"\b(?=\w*\d)[0-9a-f]{8,}\b", "#", line)
    line = re.sub(r"[+-]?\d[\d,]*(\.\d+)?(e-?\d+)?", "#", line)
    return " ".join(line.split())


def missing_lines(shown: Sequence[str], output: str) -> list[str]:
    """Lines that a page shows and that did not come out, in the page's order."""
    came = iter([masked(line) for line in output.splitlines()])
    missing = []
    for line in shown:
        wanted = masked(line.removesuffix(LEFT_OUT))
        if not wanted:
            continue
        whole = not line.endswith(LEFT_OUT)
        if not any(each == wanted if whole else each.startswith(wanted) for each in came):
            missing.append(line)
            break
    return missing


@dataclass
class RememberingEncoder:
    """The real encoder, which embeds a text once for all pages."""

    inner: Encoder
    known: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def digest(self) -> str:
        return self.inner.digest

    @property
    def dim(self) -> int:
        return self.inner.dim

    def encode(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        new = list(dict.fromkeys(text for text in texts if text not in self.known))
        if new:
            self.known.update(zip(new, self.inner.encode(new, progress=progress), strict=True))
        if not len(texts):
            return np.empty((0, self.dim), dtype=np.float32)
        return np.stack([self.known[text] for text in texts])


@pytest.fixture(scope="module")
def encoder() -> RememberingEncoder:
    return RememberingEncoder(load_encoder())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: RememberingEncoder) -> Path:
    """The folder a page's reader works in."""
    shutil.copy(SAMPLE, tmp_path / "messages.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))

    def load(name: str = encoder.name) -> Encoder:
        return encoder if name == encoder.name else load_encoder(name)

    # All that hold the function by name: one first imported by a page would keep this one for good.
    for module in (runs, encoders, tagging):
        monkeypatch.setattr(module, "load_encoder", load)
    return tmp_path


class Shell:
    """Runs the commands of a page in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of `labelwright …`, `printf … | labelwright …`, `cp -r`, `make`."""
        typed = ""
        words = shlex.split(command, comments=True)
        if words[0] == "printf":
            typed = words[1].encode().decode("unicode_escape")
            assert words[2] == "|"
            words = words[3:]
        if words[:2] == ["cp", "-r"]:
            shutil.copytree(words[2], words[3])
            return 0, ""
        if words[0] == "make":
            # Run for real by CI; here it is enough that the target is there.
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            return int(f"\n{words[1]}:" not in makefile), ""
        assert words[0] == "labelwright", f"a page may not run {words[0]!r}"
        self._monkeypatch.setattr(sys, "argv", words)
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        self._capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = self._capsys.readouterr()
        return code, captured.out + captured.err


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def expected_code(command: str) -> int:
    said = re.search(r"#.*\bexit code (\d+)", command)
    return int(said[1]) if said else 0


def run_python(page: Path, block: Block, names: dict[str, Any]) -> None:
    """Run a block so that an error names its line on the page."""
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    exec(code, names)


def run_console(block: Block, shell: Shell) -> None:
    for command, shown in commands(block):
        code, output = shell.run(command)
        assert code == expected_code(command), f"{command}\nexit code {code}\n{output}"
        assert not missing_lines(shown, output), (
            f"{command}\n{missing_lines(shown, output)}\n{output}"
        )


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_the_examples_of_a_page_run(
    page: Path, folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = ModuleType("page")
    # Dataclasses look their module up by its name.
    monkeypatch.setitem(sys.modules, "page", namespace)
    names = vars(namespace)
    for block in blocks(page):
        if block.language == "python":
            run_python(page, block, names)
        elif block.language == "console":
            run_console(block, shell)
        elif block.language == "yaml":
            TaskSpec.from_yaml(block.text, place=f"{page.name}, line {block.line}")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, place = target.partition("#")
        found = page.parent / name if name else page
        assert found.exists(), f"{page.name} links to {target!r}"
        if place:
            assert place in headings(found), f"{page.name} links to {target!r}"


def headings(page: Path) -> set[str]:
    """The anchors of a page, as web sites that show Markdown make them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


def known_options() -> set[str]:
    found = {"--help", "--version"}
    for command in cli.commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                found.update(option.opts)
    for script in (ROOT / "evals").glob("*.py"):
        found.update(re.findall(r"add_argument\(\s*\"(--[a-z-]+)", script.read_text("utf-8")))
    return found


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_option_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", prose(page)))
    assert named <= known_options()


def test_the_reference_is_what_the_code_says() -> None:
    written = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert written == reference(), (
        "run `python -m labelwright.evals.docs_reference > docs/reference.md`"
    )


def test_the_state_machine_is_drawn_from_the_compiled_graph() -> None:
    drawn = [each.text for each in blocks(DOCS / "architecture.md") if each.language == "mermaid"]
    assert drawn == [build_graph().get_graph().draw_mermaid()]


@pytest.mark.parametrize(
    "kind",
    [METADATA.tables, TOOLS, STRATEGIES, WRAPPERS],
    ids=["table", "tool", "strategy", "wrapper"],
)
def test_every_table_tool_and_strategy_is_on_a_page(kind: Any) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in kind if f"`{name}`" not in text] == []


def test_the_index_leads_to_every_page() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    others = [page.name for page in PAGES if page.name != "index.md"]
    assert [name for name in others if f"]({name})" not in text] == []


def test_a_line_that_did_not_come_out_is_found() -> None:
    output = "scored 888 items\nkept 14, rejected 0\n"
    assert missing_lines(["kept 12, rejected 3"], output) == []
    assert missing_lines(["scored …", "", "kept 1, …"], output) == []
    assert missing_lines(["kept 14, refused 0"], output) == ["kept 14, refused 0"]
    assert missing_lines(["kept 14, rejected 0", "scored 888 items"], output) == [
        "scored 888 items"
    ]


def test_a_failing_command_is_found(folder: Path, shell: Shell) -> None:
    block = Block(1, "console", "$ labelwright status nowhere\n")
    with pytest.raises(AssertionError, match="exit code 2"):
        run_console(block, shell)
