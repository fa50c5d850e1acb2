"""All tools, by name. To add one: its file, a line here, a line in the table of legal tools."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field, ValidationError, create_model

from ..models.llm.base import ToolSpec
from ..store.errors import UserError
from .annotate_samples import AnnotateSamples
from .base import Tool, ToolArgs
from .decide_stop import DecideStop
from .embed_pool import EmbedPool
from .estimate_quality import EstimateQuality
from .filter_samples import FilterSamples
from .finish import Finish
from .generate_samples import GenerateSamples
from .label_pool import LabelPool
from .measure_uncertainty import MeasureUncertainty
from .request_review import RequestReview
from .select_samples import SelectSamples
from .train_model import TrainModel

TOOLS: Mapping[str, Tool[Any]] = MappingProxyType(
    {
        tool.name: tool
        for tool in (
            EmbedPool(),
            SelectSamples(),
            AnnotateSamples(),
            FilterSamples(),
            GenerateSamples(),
            RequestReview(),
            TrainModel(),
            MeasureUncertainty(),
            EstimateQuality(),
            DecideStop(),
            LabelPool(),
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


def as_tool_spec(tool: Tool[Any]) -> ToolSpec:
    """The tool as a chat model sees it: its arguments and a reason, which is required.

    It describes a call and does not run it: the graph's `act` node does, once.
    """
    schema = create_model(
        f"{tool.name}_call",
        __base__=tool.Args,
        reason=(str, Field(min_length=1, description="why this call, why now")),
    )
    return ToolSpec(tool.name, tool.description, schema.model_json_schema())
