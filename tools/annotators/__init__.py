"""Annotation with chat models: tasks, prompts, demonstrations, confidence, pilot.

- `tasks`: what a task is; the kinds are in `labelling`, `preference` and `entities`, and `spans`
  finds quotes in texts.
- `annotator`: `LLMAnnotator`, which asks and reads; `items` has what goes in and comes out.
- `bank`, `demonstrations`: which labelled items are shown.
- `confidence`, `prior`, `truth`, `committee`: where scores come from.
- `pilot`: whether a model is of use, on gold items.
"""

from ...store.spans import Span, iob2, spans_of, token_ranges
from .annotator import LLMAnnotator
from .bank import Bank, training_bank, training_rows, written_bank
from .confidence import LabelProbabilities, count_votes, label_probabilities
from .demonstrations import Demonstrations
from .entities import Entities
from .items import Item, LLMAnnotation, Votes, counts
from .labelling import MultiLabel, PairLabel, SingleLabel
from .pilot import Pilot, cohen_kappa, judge_pilot, pilot
from .preference import Preference
from .prompting import Instructions, Shown, Variant
from .spans import locate
from .tasks import Task

__all__ = [
    "Bank",
    "Demonstrations",
    "Entities",
    "Instructions",
    "Item",
    "LLMAnnotation",
    "LLMAnnotator",
    "LabelProbabilities",
    "MultiLabel",
    "PairLabel",
    "Pilot",
    "Preference",
    "Shown",
    "SingleLabel",
    "Span",
    "Task",
    "Variant",
    "Votes",
    "cohen_kappa",
    "count_votes",
    "counts",
    "iob2",
    "judge_pilot",
    "label_probabilities",
    "locate",
    "pilot",
    "spans_of",
    "token_ranges",
    "training_bank",
    "training_rows",
    "written_bank",
]
