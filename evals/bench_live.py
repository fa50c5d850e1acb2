"""Annotation by a live chat model: accuracy, confidence and cost of each way of asking.

    python -m labelwright.evals.bench_live DATA --llm STRING [--sets sst2,ag_news,trec]
        [--items 400] [--written 40] [--ways zero_shot,content_free,p_true,nearest,written]

DATA is the folder of data sets that the learning curves use. Items of the test set are annotated;
demonstrations come from 1,000 items of the training set. The ways:

- `zero_shot`, `nearest`: the label alone, without demonstrations and after 8, the nearest of each
  class in turn; the score is the label's probability by the model's log-probabilities.
- `content_free`: as `zero_shot`, divided by what the model says of texts without content.
- `p_true`: the labels of `zero_shot`, scored by the probability of yes when the model is asked
  whether they are right.
- `written`: the label and then a reason, written freely as JSON, for the first `--written` items.

The probabilities of `zero_shot` and `nearest` are also divided by their mean over the items (Zhou
et al. 2024, "Batch calibration"), which needs no call but takes the labels for equally common. Half
of the items, drawn once, fit the temperature or the curve that a project would fit on gold; all
errors are those of the other half. Tokens and seconds are those of calls that were made: an answer
that an earlier way had already costs nothing, and no answer outlives the program.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..models.chat import load_backend
from ..models.encoders import load_encoder
from ..models.llm.base import Asker
from ..models.llm.cache import AnswerCache
from ..models.llm.gateway import Gateway
from ..store.errors import UserError
from ..tools.annotators.annotator import LLMAnnotator
from ..tools.annotators.bank import written_bank
from ..tools.annotators.demonstrations import Demonstrations
from ..tools.annotators.items import Item, LLMAnnotation
from ..tools.annotators.labelling import SingleLabel
from ..tools.annotators.pilot import judge_pilot
from ..tools.annotators.prior import divided
from ..tools.annotators.prompting import Instructions, Shown, Variant
from ..tools.annotators.reading import Confidence
from ..tools.calibration import choose, expected_calibration_error, fit_isotonic
from ..tools.certificate import fixed_interval
from ..tools.quality.reliability import accuracy_coverage_area
from .annotation_tables import table
from .curve_data import Texts, load_texts
from .live_tasks import GOALS, specs

SETS = ("sst2", "ag_news", "trec")
WAYS = ("zero_shot", "content_free", "p_true", "nearest", "written")
CONFIDENCE: Mapping[str, Confidence] = {"content_free": "content_free", "p_true": "p_true"}
POOL, SHOWN = 1_000, 8
HEAD = (
    "data",
    "asked",
    "n",
    "answered",
    "accuracy",
    "commonest answer",
    "area under accuracy–coverage",
    "ECE as it is",
    "ECE, fitted",
    "pilot on half",
    "tokens in, out",
    "seconds an item",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One data set, ready to be asked about."""

    found: Texts
    task: SingleLabel
    items: list[Item]
    truth: NDArray[np.int64]
    vectors: NDArray[np.float32]
    demonstrations: Demonstrations[str]

    def first(self, n: int) -> Case:
        """The same with its first n items only."""
        return replace(self, items=self.items[:n], truth=self.truth[:n], vectors=self.vectors[:n])


@dataclass(frozen=True, slots=True)
class Asked:
    """What a way of asking came to.

    Args:
        way: which, in words.
        labels: (n,) index of each answer; -1 where there is none.
        scores: (n,) in [0, 1]; nan where there is none.
        distribution: (n, C), where the model gave all of them.
        tokens: read and written for an item, on average.
        seconds: for an item, on average; nan where nothing was asked for it.
    """

    way: str
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    distribution: NDArray[np.float64] | None
    tokens: tuple[float, float]
    seconds: float


def load_case(name: str, folder: Path, items: int) -> Case:
    """Items of the test set, and demonstrations from the training set.

    Raises:
        UserError: no such data set here, or its files are absent.
    """
    if name not in GOALS:
        raise UserError(f"no labels of {name!r} are defined here: use one of {', '.join(GOALS)}")
    found = load_texts(name, folder, pool=POOL, test=items)
    encoder = load_encoder()
    vectors = encoder.encode(list(found.texts))
    every = [Item(str(place), text) for place, text in enumerate(found.texts)]
    shown = [
        Shown(item, found.names[label])
        for item, label in zip(every[: found.pool], found.labels, strict=False)
    ]
    bank = written_bank(shown, held_out=found.texts[found.pool :], vectors=vectors[: found.pool])
    return Case(
        found,
        SingleLabel(specs(name, found.names)),
        every[found.pool :],
        found.labels[found.pool :],
        vectors[found.pool :],
        Demonstrations(bank, "nearest_per_class", SHOWN),
    )


def annotator(asker: Asker, case: Case, way: str) -> LLMAnnotator[str]:
    """The annotator of one of `WAYS`."""
    return LLMAnnotator(
        asker,
        case.task,
        Instructions(GOALS[case.found.name]),
        variants=(Variant(style="label_first" if way == "written" else "label"),),
        demonstrations=case.demonstrations if way == "nearest" else None,
        confidence=CONFIDENCE.get(way, "logprobs"),
    )


def ask(asker: Asker, case: Case, way: str) -> Asked:
    """Annotate the items of a case in one of `WAYS`."""
    asking = annotator(asker, case, way)
    started = time.perf_counter()
    notes = asking.annotate(case.items, case.vectors)
    seconds = (time.perf_counter() - started) / len(notes)
    return _asked(way, notes, case, seconds)


def by_mean(found: Asked) -> Asked:
    """The distributions divided by their mean over the items, and what follows from that."""
    assert found.distribution is not None
    mean = found.distribution.mean(axis=0).tolist()
    shares = np.array([divided(row, mean) for row in found.distribution.tolist()])
    return replace(
        found,
        way=f"{found.way}, by the items' mean",
        labels=shares.argmax(axis=1),
        scores=shares.max(axis=1),
        distribution=shares,
        tokens=(float("nan"), float("nan")),
        seconds=float("nan"),
    )


def _asked(way: str, notes: Sequence[LLMAnnotation[str]], case: Case, seconds: float) -> Asked:
    names = case.found.names
    labels = np.array([-1 if n.label is None else names.index(n.label) for n in notes])
    whole = [n.distribution for n in notes if n.distribution is not None]
    return Asked(
        way.replace("_", "-"),
        labels,
        np.array([np.nan if n.score is None else n.score for n in notes]),
        np.array(whole) if len(whole) == len(notes) else None,
        (
            float(np.mean([n.tokens_in for n in notes])),
            float(np.mean([n.tokens_out for n in notes])),
        ),
        seconds,
    )


def measured(found: Asked, case: Case) -> list[str]:
    """A line of the table: the numbers of one way of asking."""
    truth, names = case.truth, case.found.names
    right = found.labels == truth
    fits = np.zeros(len(truth), dtype=np.bool_)
    fits[np.random.default_rng(0).permutation(len(truth))[: len(truth) // 2]] = True
    said = [None if each < 0 else names[each] for each in found.labels[fits]]
    verdict = judge_pilot(said, [names[each] for each in truth[fits]], case.task)
    answered = found.labels >= 0
    share = np.bincount(found.labels[answered], minlength=len(names)).max() / max(answered.sum(), 1)
    area, raw, fitted = _errors(found, truth, fits)
    low, high = _interval(right)
    return [
        case.found.name,
        found.way,
        str(len(truth)),
        f"{answered.mean():.0%}",
        f"{right.mean():.2f} ({low:.2f}–{high:.2f})",
        f"{share:.0%}",
        area,
        raw,
        fitted,
        verdict.verdict,
        "–" if np.isnan(found.tokens[0]) else f"{found.tokens[0]:.0f}, {found.tokens[1]:.0f}",
        "–" if np.isnan(found.seconds) else f"{found.seconds:.2f}",
    ]


def _errors(
    found: Asked, truth: NDArray[np.int64], fits: NDArray[np.bool_]
) -> tuple[str, str, str]:
    """Area under accuracy–coverage, calibration error as it is and fitted; a dash for none."""
    if np.isnan(found.scores).any():
        return "–", "–", "–"
    right, rest = found.labels == truth, ~fits
    if found.distribution is None or "p-true" in found.way:
        # A score that is not the label's share of a distribution: a rising curve over it.
        curve = fit_isotonic(found.scores[fits], right[fits])
        after = np.interp(found.scores[rest], curve.knots, curve.values)
    else:
        calibrator, _ = choose(found.distribution[fits], truth[fits], seed=0)
        after = calibrator.confidence(found.distribution[rest]).astype(np.float64)
    return (
        f"{accuracy_coverage_area(found.scores[rest], right[rest]):.2f}",
        f"{expected_calibration_error(found.scores[rest], right[rest]):.2f}",
        f"{expected_calibration_error(after, right[rest]):.2f}",
    )


def _interval(right: NDArray[np.bool_]) -> tuple[float, float]:
    found = fixed_interval(int(right.sum()), len(right))
    return found.low, found.high


def lines(asker: Asker, case: Case, ways: Sequence[str], written: int) -> Iterator[list[str]]:
    """The lines of one data set, each when it is measured."""
    for way in ways:
        part = case.first(written) if way == "written" else case
        found = ask(asker, part, way)
        yield measured(found, part)
        if found.distribution is not None and way in ("zero_shot", "nearest"):
            yield measured(by_mean(found), part)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, a line as each is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--llm", required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--written", type=int, default=40)
    options = parser.parse_args(arguments)
    backend = load_backend(options.llm)
    if backend is None:
        raise UserError("give a chat model with --llm")
    print(table(HEAD, []), end="", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(backend, cache=AnswerCache(Path(folder) / "answers.db"))
        for name in options.sets.split(","):
            case = load_case(name, options.data, options.items)
            for line in lines(gateway, case, options.ways.split(","), options.written):
                print("| " + " | ".join(line) + " |", flush=True)
        gateway.close()


if __name__ == "__main__":
    main()
