"""Final answers: what a worked solution comes to, and whether that is what it should be.

For tasks whose answer is a number: a solution whose final answer is not the known one, or not the
one that most of several solutions come to, is rejected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from .filtering import Written

_NUMBER = r"[-−]?\$?\s?\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?"
# The forms in which solutions say that this is the answer, the surest first.
_MARKS = (
    re.compile(rf"####\s*({_NUMBER})"),
    re.compile(rf"^A:\s*({_NUMBER})", re.MULTILINE),
    re.compile(rf"\\boxed\{{\s*({_NUMBER})"),
    re.compile(rf"(?:final )?answer(?: is|:)\s*[^\d\n$−-]{{0,20}}({_NUMBER})", re.IGNORECASE),
)


def final_answer(solution: str) -> Decimal | None:
    r"""The number that a solution ends with.

    The last one marked as the answer (`#### 42`, `\boxed{42}`, "the answer is 42"); `None` where
    no number is marked: the last number of a text need not be its answer.
    """
    for mark in _MARKS:
        found = mark.findall(solution)
        if found:
            return _value(found[-1])
    return None


@dataclass(frozen=True, slots=True)
class AnswerIs:
    """The final answer is the known one.

    Args:
        known: the right answer by text of the solution.
    """

    known: dict[str, Decimal]
    name: str = "final_answer"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`."""
        return [self._reason(text) for text in written.texts]

    def _reason(self, text: str) -> str:
        found = final_answer(text)
        if found is None:
            return "no final answer is marked"
        return "" if found == self.known[text] else "the final answer is not the known one"


def agreed_answer(solutions: Sequence[str], least: float = 0.5) -> Decimal | None:
    """The final answer that more than a share `least` of several solutions come to.

    Solutions without a marked answer count as disagreeing. `None` where no answer has so many.
    """
    found = Counter(final_answer(each) for each in solutions)
    found.pop(None, None)
    if not found:
        return None
    answer, times = found.most_common(1)[0]
    return answer if times > least * len(solutions) else None


def _value(text: str) -> Decimal | None:
    bare = text.replace(",", "").replace("$", "").replace(" ", "").replace("−", "-")
    above, _, below = bare.partition("/")
    try:
        value = Decimal(above)
        return value / Decimal(below) if below and Decimal(below) else value
    except InvalidOperation:
        return None
