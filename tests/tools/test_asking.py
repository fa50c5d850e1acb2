"""How a model is asked where nobody said how: by what its first answers can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from labelwright.app.project import Project
from labelwright.models.llm.base import Reply, Request
from labelwright.models.llm.gateway import Gateway
from labelwright.tools.asking import PROBED, ModelArgs, annotator_for
from labelwright.tools.base import ToolContext, Workbench
from scripted import Script, ScriptedBackend
from support import HashEncoder, messages, ran

ANSWER = '{"label": "bug", "rationale": "it is broken"}'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with ran(tmp_path_factory.mktemp("asking"), messages(60), human_labels=20) as (done, _):
        yield done


def asked(project: Project, script: Script) -> tuple[Any, ScriptedBackend]:
    """The annotator that is made for a model, and the model."""
    assert project.spec is not None
    workbench = Workbench(HashEncoder)
    context = ToolContext(project.store, project.pool, project.spec, project.settings, workbench, 1)
    backend = ScriptedBackend(script)
    args = ModelArgs(demonstrations="none")
    return annotator_for(context, args, Gateway(backend), np.arange(5)), backend


def scored(request: Request) -> Reply:
    """A label alone comes with its probabilities; a reason is never JSON."""
    if request.choices:
        return Reply('{"label": "bug"}', choice_logprobs=(-3.0, -0.1, -4.0))
    return Reply("Well, it seems to be broken.")


def test_a_model_that_cannot_write_a_reason_is_asked_for_the_label_alone(project: Project) -> None:
    annotator, backend = asked(project, scored)
    assert annotator.options.confidence == "logprobs"
    assert [each.style for each in annotator.options.variants] == ["label"]
    # Each reason is asked for twice, then each label once.
    assert len(backend.asked) == 3 * PROBED


def test_one_that_can_is_asked_for_its_reason_too(project: Project) -> None:
    annotator, backend = asked(project, lambda _: ANSWER)
    assert annotator.options.confidence == "votes"
    assert [each.style for each in annotator.options.variants] == ["label_first"]
    assert len(backend.asked) == PROBED


def test_a_label_alone_without_probabilities_is_voted_on(project: Project) -> None:
    annotator, _ = asked(
        project, lambda request: '{"label": "bug"}' if request.choices else "It is broken."
    )
    assert annotator.options.confidence == "votes"
    assert [each.style for each in annotator.options.variants] == ["label"]


def test_one_that_can_do_neither_is_asked_as_it_was_to_be(project: Project) -> None:
    annotator, backend = asked(project, lambda _: "no idea")
    assert annotator.options.confidence == "votes"
    assert [each.style for each in annotator.options.variants] == ["label_first"]
    assert len(backend.asked) == 4 * PROBED
