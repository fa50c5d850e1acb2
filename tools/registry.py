"""All tools, by name. To add one: its file, a line here, a line in the table of legal tools."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, create_model

from ..store.errors import UserError
from .annotate_samples import AnnotateSamples
from .base import Tool, ToolArgs
from .decide_stop import DecideStop
from .embed_pool import EmbedPool
from .estimate_quality import EstimateQuality
from .filter_samples import FilterSamples
from .finish import Finish
from .measure_uncertainty import MeasureUncertainty
from .request_review import RequestReview
from .select_samples import SelectSamples
from .train_model import TrainModel

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

TOOLS: Mapping[str, Tool[Any]] = MappingProxyType(
    {
        tool.name: tool
        for tool in (
            EmbedPool(),
            SelectSamples(),
            AnnotateSamples(),
            FilterSamples(),
            RequestReview(),
            TrainModel(),
            MeasureUncertainty(),
            EstimateQuality(),
            DecideStop(),
            Finish(),
        )
    }
)


def checked_args(name: str, args: Mapping[str, Any]) -> ToolArgs:
    """The arguments of a call, validated.

    Raises:
        UserError: no such tool, or the arguments do not fit; one line that says which and how.
    """
    if name not in TOOLS:
        raise UserError(f"no tool is called {name!r}: use one of {', '.join(TOOLS)}")
    try:
        checked: ToolArgs = TOOLS[name].Args.model_validate(dict(args))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{name}: argument {where!r}: {message}") from None
    return checked


def as_langchain(tool: Tool[Any]) -> BaseTool:
    """The tool as a chat model sees it: its arguments and a reason, which is required.

    The returned tool describes a call and does not run it: the graph's `act` node does, once.
    """
    from langchain_core.tools import StructuredTool

    schema = create_model(
        f"{tool.name}_call",
        __base__=tool.Args,
        reason=(str, Field(min_length=1, description="why this call, why now")),
    )

    def describe(**arguments: Any) -> dict[str, Any]:
        return {"tool": tool.name, "args": arguments}

    return StructuredTool.from_function(
        describe, name=tool.name, description=tool.description, args_schema=schema
    )
