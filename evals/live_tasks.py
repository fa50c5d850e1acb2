"""What a chat model is told of the data sets on which a live one is measured."""

from __future__ import annotations

from collections.abc import Sequence

from ..store.spec import LabelSpec

GOALS = {
    "sst2": "Say whether a sentence of a film review is positive or negative",
    "ag_news": "Sort news into world, sports, business, and science and technology",
    "trec": "Sort questions by what their answer is",
}
DEFINITIONS = {
    "sst2": {
        "negative": "the writer does not like the film",
        "positive": "the writer likes the film",
    },
    "ag_news": {
        "business": "companies, markets, prices, jobs",
        "sci_tech": "science, computers, the internet, space, medicine",
        "sports": "games, teams, athletes",
        "world": "politics, wars and events of other countries",
    },
    "trec": {
        "abbreviation": "what a short form stands for",
        "description": "a definition, a reason, a way to do something",
        "entity": "a thing: an animal, a food, a product, a language, an event",
        "human": "a person or a group of people",
        "location": "a place",
        "number": "a count, a date, a price, a distance",
    },
}


def specs(name: str, names: Sequence[str]) -> tuple[LabelSpec, ...]:
    """The labels of a data set with their definitions, in the order of `names`."""
    return tuple(LabelSpec(name=each, definition=DEFINITIONS[name][each]) for each in names)
