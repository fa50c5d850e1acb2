"""The graph: its frozen names, its drawing, and what its state may hold."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from labelwright.graphs import main as graph_main
from labelwright.graphs.main import NODES, build_graph
from labelwright.graphs.state import ApprovalAnswer, ReviewAnswer, State
from langgraph.types import Command
from pydantic import ValidationError
from support import messages, run_rows

DOCS = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_node_names_are_frozen() -> None:
    names = {"understand", "approve", "prepare", "decide", "act", "review", "finish"}
    assert set(NODES) == names
    assert set(build_graph().get_graph().nodes) == names | {"__start__", "__end__"}


def test_edges_are_those_of_the_design() -> None:
    edges = {(edge.source, edge.target) for edge in build_graph().get_graph().edges}
    assert {
        ("__start__", "understand"),
        ("understand", "prepare"),
        ("understand", "approve"),
        ("approve", "understand"),
        ("approve", "prepare"),
        ("prepare", "decide"),
        ("decide", "act"),
        ("decide", "approve"),
        ("decide", "finish"),
        ("approve", "act"),
        ("approve", "decide"),
        ("approve", "finish"),
        ("act", "decide"),
        ("act", "review"),
        ("review", "decide"),
        ("finish", "__end__"),
    } == {edge for edge in edges if edge[0] != edge[1]}


@pytest.mark.skipif(not DOCS.exists(), reason="docs/architecture.md is not written yet")
def test_the_documented_drawing_is_that_of_the_compiled_graph() -> None:
    drawn = build_graph().get_graph().draw_mermaid().strip()
    assert drawn in DOCS.read_text(encoding="utf-8")


def test_nodes_write_only_what_the_state_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # LangGraph drops a key that the state does not have, in silence.
    written: dict[str, set[str]] = {}

    def watched(node: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(node)
        def watching(state: State, runtime: Any) -> Any:
            result = node(state, runtime)
            update = result.update if isinstance(result, Command) else result
            written.setdefault(node.__name__, set()).update(update or {})
            return result

        return watching

    for name in NODES:
        monkeypatch.setattr(graph_main, name, watched(getattr(graph_main, name)))
    run_rows(tmp_path, messages(40), human_labels=12, autonomy="ask-all")
    assert set(written) == set(NODES)
    assert set().union(*written.values()) <= set(get_type_hints(State))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"type": "yes"},
        {"type": "edit"},
        {"type": "approve", "edited_action": {"name": "finish", "args": {}}},
        {"type": "edit", "edited_action": {"name": "finish"}},
        {"type": "approve", "colour": "red"},
    ],
)
def test_an_approval_that_does_not_hold_together_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ApprovalAnswer.model_validate(answer)


def test_an_edit_carries_its_action() -> None:
    action = {"name": "finish", "args": {}}
    answer = ApprovalAnswer.model_validate({"type": "edit", "edited_action": action})
    assert answer.edited_action is not None
    assert answer.edited_action.name == "finish"


def test_a_review_answer_names_its_review() -> None:
    with pytest.raises(ValidationError):
        ReviewAnswer.model_validate({"type": "respond"})
