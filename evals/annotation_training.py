"""What a classifier learns from language models' labels and from people's, for the same money.

Half of the items are there to be labelled, the other half tests. Prices: a person takes 0.10 US
dollars a label; a model takes the listed price of its tokens (`genai-prices`). The record has no
tokens, so they are reckoned: 60 for the instructions, 6 for each label, 1.4 for each word of the
text, and 8 for the answer. A committee of seven pays seven times the cheap model's price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import Encoder, load_encoder
from ..models.learners import Inputs, Training, make_learner
from ..models.llm.prices import ListedPrice
from ..tools.noise import out_of_fold
from ..tools.noise_weights import soft_weights
from ..tools.quality.aggregation import majority, smoothed_share
from ..tools.quality.combining import fit_combiner
from .annotation_data import Record, committee
from .annotation_tables import mean, spread, table

HUMAN_PRICE = 0.10
CHEAP, STRONG = "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"
COMMITTEE = 7
BATCH = 10
TOKENS_OUT = 8
BUDGETS = (1.0, 2.5, 5.0, 10.0, 20.0)
HEAD = ("labels", "money", "labels by people", "their accuracy", "test accuracy")


@dataclass(frozen=True, slots=True)
class Labels:
    """What the money bought.

    Attributes:
        rows: items with a label.
        given: the label of each.
        weights: how much each counts in training, above 0.
        people: labels by people among them.
        usd: what was spent.
    """

    rows: NDArray[np.int64]
    given: NDArray[np.int64]
    weights: NDArray[np.float32]
    people: int
    usd: float


class Market:
    """One draw: items to label, items to test on, and what labels cost."""

    def __init__(
        self, record: Record, texts: NDArray[np.float32], learner: str, seed: int, encoder: Encoder
    ) -> None:
        self.record, self.texts, self.learner, self.seed = record, texts, learner, seed
        self.encoder = encoder
        self.rng = np.random.default_rng(seed)
        order = self.rng.permutation(len(record.gold))
        self.pool, self.test = order[: len(order) // 2], order[len(order) // 2 :]

    def price(self, model: str) -> NDArray[np.float64]:
        """US dollars for one label of each item of the pool by a model."""
        listed = ListedPrice("openai", model)
        fixed = 60 + 6 * self.record.classes
        words = [len(self.record.texts[row].split()) for row in self.pool]
        return np.array([listed.usd(fixed + round(1.4 * n), TOKENS_OUT) for n in words])

    def predict(self, labels: Labels, asked: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities of some items by a learner trained on the labels."""
        record = self.record
        learner = make_learner(
            self.learner,
            label_names=record.labels,
            label_texts=[name.replace("_", " ") for name in record.labels],
            encoder=self.encoder,
        )
        training = Training(self._inputs(labels.rows), labels.given, labels.weights)
        learner.fit(training, seed=self.seed)
        return learner.predict_proba(self._inputs(asked))

    def accuracy(self, labels: Labels) -> float:
        """On the test items."""
        said = self.predict(labels, self.test).argmax(axis=1)
        return float((said == self.record.gold[self.test]).mean())

    def _inputs(self, rows: NDArray[np.int64]) -> Inputs:
        return Inputs([self.record.texts[row] for row in rows], self.texts[rows])

    def people(self, usd: float) -> Labels:
        """As many items at random, labelled by people, as the money pays for."""
        rows = self.pool[: _bought(usd)]
        return _labels(rows, self.record.gold[rows], len(rows), len(rows) * HUMAN_PRICE)

    def model(self, usd: float, model: str) -> Labels:
        """As many items, labelled by one model, as the money pays for; no answer costs too."""
        price = self.price(model)
        paid = np.cumsum(price) <= usd + 1e-9
        said = self.record.votes[self.pool, self.record.column(model)]
        kept = paid & (said >= 0)
        return _labels(self.pool[kept], said[kept], 0, float(price[paid].sum()))

    def weighted(self, usd: float, model: str) -> Labels:
        """The same, each label weighted by how far a learner without it believes it."""
        found = self.model(usd, model)
        weights = soft_weights(
            self._fit_predict(found), found.given, self.record.classes, seed=self.seed
        ).weights
        kept = weights > 0
        return Labels(found.rows[kept], found.given[kept], weights[kept], 0, found.usd)

    def repaired(self, usd: float, model: str) -> Labels:
        """The same, and the money that is left pays people for what a learner doubts most."""
        found = self.model(usd, model)
        count = min(_bought(usd - found.usd), len(found.rows))
        said = out_of_fold(
            self._fit_predict(found), found.given, self.record.classes, seed=self.seed
        )
        doubted = np.argsort(said[np.arange(len(found.rows)), found.given], kind="stable")[:count]
        given = found.given.copy()
        given[doubted] = self.record.gold[found.rows[doubted]]
        return _labels(found.rows, given, count, found.usd + count * HUMAN_PRICE)

    def agreed(self, weigh: bool) -> Labels:
        """Seven models' most frequent label of every item, weighted by their share or not."""
        record = self.record
        columns = committee(record, COMMITTEE, np.random.default_rng(self.seed))
        found = majority(record.votes[np.ix_(self.pool, columns)], record.classes)
        kept = found.labels >= 0
        weights = found.confidence[kept] if weigh else np.ones(int(kept.sum()))
        usd = COMMITTEE * float(self.price(CHEAP).sum())
        counted = weights.astype(np.float32)
        return Labels(self.pool[kept], found.labels[kept], counted, 0, usd)

    def routed(self, usd: float) -> Labels:
        """Seven models, and people where the combiner of both expects most error."""
        record = self.record
        columns = committee(record, COMMITTEE, np.random.default_rng(self.seed))
        prior = smoothed_share(record.votes[np.ix_(self.pool, columns)], record.classes)
        features = np.hstack([prior, self.texts[self.pool].astype(np.float64)])
        spent = COMMITTEE * float(self.price(CHEAP).sum())
        gold, asked = record.gold[self.pool], np.zeros(len(self.pool), dtype=np.bool_)
        asked[: min(2 * BATCH, _bought(usd - spent))] = True
        while True:
            fitted = fit_combiner(prior[asked], features[asked], gold[asked])
            said = fitted.predict(prior, features)
            left = min(_bought(usd - spent), len(asked)) - int(asked.sum())
            if left <= 0:
                break
            doubt = np.where(asked, -1.0, 1 - said.max(axis=1))
            asked[np.argsort(-doubt, kind="stable")[: min(BATCH, left)]] = True
        given = np.where(asked, gold, said.argmax(axis=1))
        return _labels(self.pool, given, int(asked.sum()), spent + asked.sum() * HUMAN_PRICE)

    def _fit_predict(
        self, found: Labels
    ) -> Callable[
        [NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]],
        NDArray[np.float32],
    ]:
        def call(
            rows: NDArray[np.int64],
            labels: NDArray[np.int64],
            weights: NDArray[np.float32],
            asked: NDArray[np.int64],
        ) -> NDArray[np.float32]:
            some = Labels(found.rows[rows], labels, weights, 0, 0.0)
            return self.predict(some, found.rows[asked])

        return call


def training_table(
    record: Record,
    texts: NDArray[np.float32],
    seeds: int,
    *,
    learner: str = "linear",
    budgets: tuple[float, ...] = BUDGETS,
) -> str:
    """Test accuracy of what each way of spending the money trains."""
    encoder = load_encoder()
    markets = [Market(record, texts, learner, seed, encoder) for seed in range(seeds)]
    rows = []
    for usd in budgets:
        for name, buy in _ways(usd, usd == budgets[0]).items():
            bought = [buy(market) for market in markets]
            rows.append(_line(name, markets, bought))
    rows.append(_line("people, all items", markets, [each.people(1e9) for each in markets]))
    return table(HEAD, rows)


def _ways(usd: float, first: bool) -> dict[str, Callable[[Market], Labels]]:
    """Models alone cost less than the smallest budget, so they are in the table once."""

    def alone(model: str) -> Callable[[Market], Labels]:
        return lambda market: market.model(usd, model)

    def softly(model: str) -> Callable[[Market], Labels]:
        return lambda market: market.weighted(usd, model)

    found: dict[str, Callable[[Market], Labels]] = {"people": lambda market: market.people(usd)}
    for model in (CHEAP, STRONG) if first else ():
        found |= {model: alone(model), f"{model}, soft weights": softly(model)}
    if first:
        found["7 models"] = lambda market: market.agreed(weigh=False)
        found["7 models, weighted by agreement"] = lambda market: market.agreed(weigh=True)
    found[f"{CHEAP}, then people"] = lambda market: market.repaired(usd, CHEAP)
    found["7 models, people by routing"] = lambda market: market.routed(usd)
    return found


def _line(name: str, markets: list[Market], bought: list[Labels]) -> list[str]:
    right = [
        float((each.given == market.record.gold[each.rows]).mean())
        for each, market in zip(bought, markets, strict=True)
    ]
    reached = [market.accuracy(each) for market, each in zip(markets, bought, strict=True)]
    return [
        name,
        f"${np.mean([each.usd for each in bought]):.2f}",
        mean([each.people for each in bought], 0),
        mean(right),
        spread(reached),
    ]


def _bought(usd: float) -> int:
    """Labels by people that the money pays for."""
    return max(0, int(usd / HUMAN_PRICE + 1e-9))


def _labels(rows: NDArray[np.int64], given: NDArray[np.int64], people: int, usd: float) -> Labels:
    return Labels(rows, given, np.ones(len(rows), dtype=np.float32), people, float(usd))
