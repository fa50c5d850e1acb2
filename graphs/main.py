"""The state machine, put together.

    START → understand → [approve] → prepare → decide ⇄ act
                                                 decide → approve → act
                                                 act → review → decide
                                                 decide → finish → END

Node names are frozen: a paused run must survive an upgrade.
"""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from .context import Context
from .finish import finish
from .nodes import act, approve, decide, review
from .setup import prepare, understand
from .state import State

NODES = ("understand", "approve", "prepare", "decide", "act", "review", "finish")

Graph = CompiledStateGraph[State, Context, State, State]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Graph:
    """Compile the graph.

    Args:
        checkpointer: where paused runs are kept; none for drawing the graph only.
    """
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("understand", understand)
    builder.add_node("approve", approve)
    builder.add_node("prepare", prepare)
    builder.add_node("decide", decide)
    builder.add_node("act", act)
    builder.add_node("review", review)
    builder.add_node("finish", finish)
    builder.add_edge(START, "understand")
    builder.add_edge("finish", END)
    return builder.compile(checkpointer=checkpointer, name="labelwright")
