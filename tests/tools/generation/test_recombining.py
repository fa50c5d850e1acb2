"""Augmentation without a model: nothing is invented, and it says what it is made of."""

from __future__ import annotations

from labelwright.tools.generation.material import Example
from labelwright.tools.generation.recombining import clauses, recombine

EXAMPLES = [
    Example("1", "My card was charged twice. Please send the money back.", "billing"),
    Example("2", "The invoice is wrong, and nobody answers my mails", "billing"),
    Example("3", "The app crashes when I open it", "bug"),
    Example("4", "No clause to take", "praise"),
    Example("5", "Nor is there one here", "praise"),
]


def test_clauses_are_split_at_sentences_commas_and_conjunctions() -> None:
    first, second = clauses(EXAMPLES[0].text)
    assert (first, second) == ("My card was charged twice.", "Please send the money back.")
    assert clauses(EXAMPLES[1].text) == ["The invoice is wrong", "and nobody answers my mails"]
    assert clauses("Hi, yes, it is late because of you") == ["it is late", "because of you"]


def test_each_text_is_of_two_parents_of_its_label_and_of_their_words_only() -> None:
    drafts = recombine(EXAMPLES, ["billing"] * 4, seed=1)
    assert drafts
    texts = {each.id: each.text for each in EXAMPLES}
    for draft in drafts:
        assert (draft.label, draft.method, draft.prompt) == ("billing", "recombine", "")
        assert set(draft.parents) == {"1", "2"}
        words = {w.strip(".,") for parent in draft.parents for w in texts[parent].split()}
        assert {word.strip(".,") for word in draft.text.split()} <= words
        assert draft.text not in texts.values()


def test_no_text_comes_twice() -> None:
    drafts = recombine(EXAMPLES, ["billing"] * 40, seed=1)
    assert len({draft.text for draft in drafts}) == len(drafts) < 40


def test_labels_with_nothing_to_recombine_give_none() -> None:
    assert recombine(EXAMPLES, ["bug", "praise", "other"], seed=1) == []


def test_same_seed_same_texts() -> None:
    labels = ["billing"] * 3
    assert recombine(EXAMPLES, labels, seed=2) == recombine(EXAMPLES, labels, seed=2)
