"""Both forms of answers keep the same promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.store.spec import TaskSpec
from labelwright.tools.label_form import LabelForm, OneLabel, SeveralLabels, form_of

NAMES = ("a", "b", "c")
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.75, 0.05]] * 4, dtype=np.float32)


class FormContract:
    form: LabelForm

    def test_answers_are_read_back_as_they_were_written(self) -> None:
        answers = self.form.predicted(P)
        assert (self.form.read(self.form.written(answers)) == answers).all()

    def test_an_answer_is_the_same_as_itself_and_no_other(self) -> None:
        answers = self.form.predicted(P)
        assert self.form.same(answers, answers).all()
        assert not self.form.same(answers, np.roll(answers, 1, axis=0)).any()

    def test_full_agreement_has_kappa_one(self) -> None:
        answers = self.form.predicted(P)
        assert self.form.kappa(answers, answers) == pytest.approx(1.0)

    def test_counts_have_a_place_for_every_label(self) -> None:
        answers = self.form.predicted(P)
        written = self.form.written(answers)
        assert self.form.counts(answers).tolist() == [
            sum(name in self.form.shown(each).split(", ") for each in written) for name in NAMES
        ]

    def test_certainty_is_a_probability(self) -> None:
        found = self.form.certainty(P)
        assert found.shape == (len(P),)
        assert ((found > 0) & (found <= 1)).all()

    def test_a_calibration_is_read_back_from_what_the_model_artefact_keeps(self) -> None:
        truth = self.form.predicted(P)
        fitted, fields = self.form.fit_calibration(P, truth)
        again = self.form.calibration(fields)
        assert again is not None
        assert (again.apply(P) == fitted.apply(P)).all()
        assert (again.confidence(P) == fitted.confidence(P)).all()

    def test_a_model_without_calibration_has_none(self) -> None:
        assert self.form.calibration({"temperature": None, "gold": 0}) is None

    def test_no_answers_are_no_answers(self) -> None:
        assert len(self.form.read([])) == 0


class TestOneLabel(FormContract):
    form = OneLabel(NAMES)

    def test_the_answer_is_the_likeliest_label(self) -> None:
        assert self.form.written(self.form.predicted(P))[:3] == ["a", "c", "b"]


class TestSeveralLabels(FormContract):
    form = SeveralLabels(NAMES)

    def test_the_answer_is_every_label_that_is_likelier_than_not(self) -> None:
        p = np.array([[0.9, 0.8, 0.1], [0.1, 0.2, 0.3]], dtype=np.float32)
        assert self.form.written(self.form.predicted(p)) == ['["a","b"]', "[]"]

    def test_a_set_is_the_same_only_as_a_whole(self) -> None:
        left, right = self.form.read(['["a","b"]', "[]"]), self.form.read(['["a"]', "[]"])
        assert self.form.same(left, right).tolist() == [False, True]

    def test_what_is_no_set_is_refused(self) -> None:
        with pytest.raises(UserError):
            self.form.read(["a"])


@pytest.mark.parametrize(("kind", "several"), [("single_label", False), ("multi_label", True)])
def test_the_spec_says_which_form(kind: str, several: bool) -> None:
    spec: dict[str, Any] = {"goal": "g", "kind": kind, "text_columns": ["text"]}
    spec["labels"] = [{"name": name} for name in NAMES]
    assert form_of(TaskSpec.checked(spec)).several is several
