"""small-text's curves beside ours: the same start, the same file, and what it really answers.

Most tests run the worker with a stand-in that has small-text's interface, so that nothing has to be
installed; with `LABELWRIGHT_PEERS` naming a folder of the benchmarks' environments one test runs
small-text itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.evals.curve_cells import Cell, Plan, draw_curve
from labelwright.evals.curve_data import embedded_texts, load_texts, split
from labelwright.evals.curve_peers import (
    PEER,
    PEER_STRATEGIES,
    Place,
    draw_peer_curves,
    first_batch,
    main,
)
from labelwright.evals.curve_table import CSV_NAME, Curves
from labelwright.evals.curves import draw_curves, write_report
from labelwright.evals.peers import PEERS
from labelwright.models.learners import Training, make_learner
from labelwright.models.learners.logistic import inverse_regularisation
from labelwright.store.errors import OperatorError, UserError
from sklearn.linear_model import LogisticRegression
from support import HashEncoder, messages, write_csv

PLAN = Plan(budget=30, step=10, pool=120, test=60)
TIES = "small-text:breaking_ties"
STAND_IN = """
import numpy as np

class SklearnDataset:
    def __init__(self, x, y, target_labels):
        self.x, self.y = x, y

class SklearnClassifierFactory:
    def __init__(self, template, classes):
        self.template = template
    def new(self):
        from sklearn.base import clone
        return Classifier(clone(self.template))

class Classifier:
    def __init__(self, model):
        self.model = model
    def predict_proba(self, dataset):
        return self.model.predict_proba(dataset.x)

class BreakingTies:
    def query(self, classifier, dataset, free, n):
        p = np.sort(classifier.predict_proba(dataset), axis=1)
        return free[np.argsort((p[:, -1] - p[:, -2])[free], kind="stable")[:n]]

class query_strategies:
    BreakingTies = BreakingTies

class PoolBasedActiveLearner:
    def __init__(self, factory, strategy, dataset):
        self.factory, self.strategy, self.dataset = factory, strategy, dataset
    def initialize(self, rows):
        self.indices_labeled, self.y = rows, self.dataset.y[rows]
        self._train()
    def query(self, num_samples):
        free = np.setdiff1d(np.arange(len(self.dataset.y)), self.indices_labeled)
        self.indices_queried = self.strategy.query(self.classifier, self.dataset, free, num_samples)
        return self.indices_queried
    def update(self, y):
        self.indices_labeled = np.concatenate([self.indices_labeled, self.indices_queried])
        self.y = np.concatenate([self.y, y])
        self._train()
    def _train(self):
        self.classifier = self.factory.new()
        self.classifier.model.fit(self.dataset.x[self.indices_labeled], self.y)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "trec").mkdir()
    write_csv(folder / "trec" / "train.csv", messages(160))
    write_csv(folder / "trec" / "test.csv", messages(80, seed=8))
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    package = tmp_path / "peer" / "small_text"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return Place(Path(sys.executable), threads=1)


def drawn(data: Path, out: Path, place: Place, **options: Any) -> Curves:
    given: dict[str, Any] = {
        "encoder": HashEncoder(),
        "plan": PLAN,
        "data_sets": ["trec"],
        "strategies": [TIES],
        "seeds": 1,
    }
    return draw_peer_curves(data, out, place, **{**given, **options})


def cell(name: str = TIES, seed: int = 0) -> Cell:
    return Cell("trec", "linear", name, seed)


def parts(data: Path) -> Any:
    found = load_texts("trec", data, pool=PLAN.pool, test=PLAN.test)
    return split(found, HashEncoder().encode(embedded_texts(found)))


class _Spy:
    """A learner that remembers what it was trained on."""

    def __init__(self, learner: Any) -> None:
        self.trained: list[list[str]] = []
        self._learner = learner

    def fit(self, training: Training, *, seed: int) -> None:
        self.trained.append(list(training.inputs.texts))
        self._learner.fit(training, seed=seed)

    def predict_proba(self, inputs: Any) -> Any:
        return self._learner.predict_proba(inputs)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_first_batch_is_that_of_our_curves(data: Path, seed: int) -> None:
    given = parts(data)
    names = list(given.names)
    spy = _Spy(make_learner("linear", label_names=names, label_texts=names, encoder=HashEncoder()))
    draw_curve(given, spy, "margin", PLAN, seed)  # type: ignore[arg-type]
    mine = first_batch(len(given.pool), len(names), PLAN, seed)
    assert [given.pool.texts[row] for row in mine] == spy.trained[0]


def test_points_are_what_the_peers_model_says_of_the_test_set(
    data: Path, tmp_path: Path, stand_in: Place
) -> None:
    points = drawn(data, tmp_path, stand_in)[cell()]
    given = parts(data)
    model = LogisticRegression()
    rows = first_batch(len(given.pool), len(given.names), PLAN, 0)
    model.fit(given.pool.vectors[rows], given.pool.labels[rows])
    assert [point.labels for point in points] == [10, 20, 30]
    assert points[0].accuracy == round(model.score(given.test.vectors, given.test.labels), 5)
    assert points[0].score > 0
    assert points[-1].score == 0


def test_same_strength_has_the_regularisation_of_our_learner(
    data: Path, tmp_path: Path, stand_in: Place
) -> None:
    name = f"{TIES}@same_strength"
    points = drawn(data, tmp_path, stand_in, strategies=[name])[cell(name)]
    given = parts(data)
    model = LogisticRegression(C=inverse_regularisation(len(given.names)), max_iter=500)
    rows = first_batch(len(given.pool), len(given.names), PLAN, 0)
    model.fit(given.pool.vectors[rows], given.pool.labels[rows])
    assert points[0].accuracy == round(model.score(given.test.vectors, given.test.labels), 5)


def test_its_curves_join_ours_in_file_and_report(
    data: Path, tmp_path: Path, stand_in: Place
) -> None:
    ours = draw_curves(
        data,
        tmp_path,
        encoder=HashEncoder(),
        plan=PLAN,
        data_sets=["trec"],
        learners=["linear"],
        strategies=["random"],
        seeds=1,
        jobs=1,
    )
    both = drawn(data, tmp_path, stand_in)
    assert set(both) == {*ours, cell()}
    assert all(both[each] == points for each, points in ours.items())
    write_report(both, PLAN, tmp_path)
    table = (tmp_path / "curves.md").read_text(encoding="utf-8")
    assert f"| {TIES} |" in table
    assert TIES in (tmp_path / "trec-linear.svg").read_text(encoding="utf-8")


def test_finished_curves_are_not_drawn_again(data: Path, tmp_path: Path, stand_in: Place) -> None:
    before = drawn(data, tmp_path, stand_in)
    assert drawn(data, tmp_path, Place(tmp_path / "no such python")) == before


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(
    data: Path, tmp_path: Path, stand_in: Place
) -> None:
    one = drawn(data, tmp_path / "one", stand_in, seeds=2)
    two = drawn(data, tmp_path / "two", stand_in, seeds=2)
    accuracies = {
        each: [point.accuracy for point in curves[each]] for curves in (one, two) for each in curves
    }
    assert accuracies == {each: [point.accuracy for point in one[each]] for each in one}
    assert accuracies[cell()] != accuracies[cell(seed=1)]


def test_a_peer_that_fails_is_named_and_finished_curves_are_kept(
    data: Path, tmp_path: Path, stand_in: Place
) -> None:
    with pytest.raises(OperatorError, match=r"the curves of small-text(.|\n)*PredictionEntropy"):
        drawn(data, tmp_path, stand_in, strategies=[TIES, "small-text:prediction_entropy"])
    assert (tmp_path / CSV_NAME).read_text(encoding="utf-8").count(TIES) == len(PLAN.labels())


def test_nonsense_is_refused(data: Path, tmp_path: Path) -> None:
    place = Place(tmp_path / "no such python")
    with pytest.raises(UserError, match=r"'small-text:badge'.*small-text:breaking_ties"):
        drawn(data, tmp_path, place, strategies=["small-text:badge"])
    with pytest.raises(UserError, match="seeds is 0"):
        drawn(data, tmp_path, place, seeds=0)
    with pytest.raises(UserError, match="budget is 500"):
        drawn(data, tmp_path / "long", place, plan=Plan(500, 10, 500, 60))


def test_curves_of_another_length_are_not_mixed(
    data: Path, tmp_path: Path, stand_in: Place
) -> None:
    drawn(data, tmp_path, stand_in)
    with pytest.raises(UserError, match="have budget 30"):
        drawn(data, tmp_path, stand_in, plan=Plan(20, 10, 120, 60))


def test_the_command_says_what_is_wrong_before_anything_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [str(tmp_path), "--out", str(tmp_path / "out"), "--peers", str(tmp_path / "peers")]
    assert main([*places, "--budget", "7"]) == 2
    assert "budget 7" in capsys.readouterr().err
    assert not (tmp_path / "peers").exists()


def test_small_text_itself_draws_every_strategy(data: Path, tmp_path: Path) -> None:
    folder = os.environ.get("LABELWRIGHT_PEERS")
    python = Path(folder or "", PEERS[PEER].folder, "bin", "python")
    if not folder or not python.exists():
        pytest.skip(f"LABELWRIGHT_PEERS names no folder with {PEER}")
    curves = drawn(data, tmp_path, Place(python, 1), strategies=list(PEER_STRATEGIES))
    assert {each.strategy for each in curves} == set(PEER_STRATEGIES)
    for points in curves.values():
        assert [point.labels for point in points] == [10, 20, 30]
        assert np.mean([point.accuracy for point in points]) > 0.4
