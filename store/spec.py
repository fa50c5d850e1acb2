"""The task spec and the run settings: what the person asked for, checked once at the border.

The task spec is written to `task.yaml` in the project folder and may be edited by hand; it is
validated again whenever it is read. The settings are the technical choices of one run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .errors import UserError
from .label_sets import SEPARATOR

Autonomy = Literal["ask-all", "ask-labels", "auto"]
LearnerName = Literal["linear", "svm", "bert", "setfit"]
PolicyName = Literal["playbook", "llm"]
RecipeName = Literal["standard", "uncertainty", "coverage", "adaptive", "random"]
AnnotatorName = Literal["auto", "llm", "embedded"]
GenerateName = Literal["no", "model", "augment"]
ReviewerName = Literal["terminal", "simulated", "none"]
Kind = Literal["single_label", "multi_label", "entities"]
"""Whether an item has exactly one label, any number of them, or marked parts of its text.

None included: no label, no marked part. With `entities` the labels are the types of the parts.
"""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LabelSpec(_Strict):
    """One label and what it means."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    definition: str = ""

    @field_validator("name")
    @classmethod
    def _trimmed(cls, name: str) -> str:
        if name != name.strip() or not name.strip():
            raise ValueError(f"label {name!r} is empty or has spaces around it: write it without")
        return name


class Budgets(_Strict):
    """What may be spent; `None` means no limit of that kind."""

    human_labels: Annotated[int, Field(ge=0)] | None = None
    usd: Annotated[float, Field(ge=0)] | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None


class TaskSpec(_Strict):
    """What is to be labelled, with which labels, how well, and for how much."""

    version: Literal[1] = 1
    goal: Annotated[str, Field(min_length=1)]
    kind: Kind = "single_label"
    labels: Annotated[list[LabelSpec], Field(min_length=1)]
    guidelines: str = ""
    text_columns: Annotated[list[str], Field(min_length=1)]
    target_accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    confidence_level: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    budgets: Budgets = Budgets()
    autonomy: Autonomy = "ask-labels"

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        seen: dict[str, str] = {}
        for label in self.labels:
            other = seen.setdefault(label.name.casefold(), label.name)
            if other is not label.name:
                raise ValueError(f"labels {other!r} and {label.name!r} are the same: remove one")
        return self

    @model_validator(mode="after")
    def _labels_can_differ(self) -> Self:
        if len(self.labels) < 2 and not self.marked:
            raise ValueError(
                f"labels has only {self.labels[0].name!r}: an item needs two to choose from"
            )
        return self

    @model_validator(mode="after")
    def _labels_fit_a_cell(self) -> Self:
        for label in self.labels:
            if self.several and (SEPARATOR in label.name or label.name.startswith("[")):
                raise ValueError(
                    f"label {label.name!r} has a {SEPARATOR!r} or begins with '[', and sets of "
                    f"labels are written a{SEPARATOR}b or as a list: rename it"
                )
        return self

    @property
    def several(self) -> bool:
        """Whether an item may have several labels, or none."""
        return self.kind == "multi_label"

    @property
    def marked(self) -> bool:
        """Whether the answer to an item is a set of marked, typed parts of its text."""
        return self.kind == "entities"

    @property
    def label_names(self) -> list[str]:
        """The label names in their order; a label's index everywhere is its place here."""
        return [label.name for label in self.labels]

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the spec."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_yaml(self) -> str:
        """The spec as YAML that `from_yaml` reads back to an equal spec."""
        data = self.model_dump(mode="json")
        # Line ends beyond ASCII do not survive YAML unless they are escaped.
        plain = not set("\x85\u2028\u2029\ufeff") & set(json.dumps(data, ensure_ascii=False))
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=plain)

    @classmethod
    def from_yaml(cls, text: str, *, place: str = "the task spec") -> TaskSpec:
        """Parse and check a spec.

        Raises:
            UserError: not YAML, an unknown or missing field, a value out of range; the message
                names the place and the field.
        """
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"{place} is not valid YAML: {' '.join(str(error).split())}") from None
        return cls.checked(data, place=place)

    @classmethod
    def checked(cls, data: Any, *, place: str = "the task spec") -> TaskSpec:
        """Validate plain data, turning pydantic's report into one line for the user."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole"
            message = first["msg"].removeprefix("Value error, ")
            raise UserError(f"{place}: {where}: {message}") from None

    @classmethod
    def read(cls, path: Path) -> TaskSpec:
        """Read a spec from a YAML file (see `from_yaml` for the errors)."""
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 ({error}): save it as UTF-8") from None
        return cls.from_yaml(text, place=str(path))


class Settings(_Strict):
    """The technical choices of one run; kept in the project so that `resume` needs none."""

    data: str
    text_columns: list[str]
    second_columns: list[str] = []
    """Columns of the second text of each item, where items are pairs; none where they are not."""
    id_column: str | None = None
    gold_column: str | None = None
    tokens: bool = False
    """Whether the file had lists of tokens, which a single space separates in the texts."""
    encoding: str = "utf-8"
    learner: LearnerName = "linear"
    encoder: str = "all-MiniLM-L6-v2"
    policy: PolicyName = "playbook"
    llm: str = "none"
    strong_llm: str = "none"
    """A second chat model, better and dearer: it judges, and answers what the first doubts."""
    committee: tuple[str, ...] = ()
    """Further chat models that are asked about each item beside `llm`, and vote with it."""
    annotator: AnnotatorName = "auto"
    """Who suggests labels; `auto`: the chat model where there is one."""
    reviewer: ReviewerName = "terminal"
    reviewer_error_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    label_price: Annotated[float, Field(ge=0)] = 0.0
    """US dollars that one human label costs."""
    price_in: Annotated[float, Field(ge=0)] = 0.0
    """US dollars for a million tokens read by the chat model."""
    price_out: Annotated[float, Field(ge=0)] = 0.0
    """US dollars for a million tokens written by the chat model."""
    strong_price_in: Annotated[float, Field(ge=0)] = 0.0
    strong_price_out: Annotated[float, Field(ge=0)] = 0.0
    committee_prices_in: tuple[float, ...] = ()
    """As `price_in`, one for each of `committee`; empty: as listed."""
    committee_prices_out: tuple[float, ...] = ()
    wrong_label_usd: Annotated[float, Field(ge=0)] | None = None
    """US dollars that one wrong delivered label costs: what may be left to a model follows."""
    llm_cache: str = ""
    """File that keeps the answers of chat models; empty: the user's cache folder; `none`: none."""
    llm_concurrency: Annotated[int, Field(ge=0)] = 0
    """Calls at once; 0: what suits the model."""
    llm_rate: Annotated[float, Field(ge=0)] = 0.0
    """Calls begun in a second; 0: no limit."""
    generate: GenerateName = "no"
    """Whether texts may be written for training: by the chat model, or recombined from the pool."""
    recipe: RecipeName = "standard"
    strategy: str = ""
    """An acquisition strategy in place of the recipe's, once there is a model; empty: that one."""
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def by_model(self) -> bool:
        """Whether a chat model suggests labels."""
        return self.annotator != "embedded" and self.llm != "none"

    @property
    def members(self) -> tuple[str, ...]:
        """The chat models that are asked about each item, the first of which is `llm`."""
        return () if self.llm == "none" else (self.llm, *self.committee)
