"""GGUF files: a tiny one, written by the test, answers as the model that it was written from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from backend_contract import BackendContract, asking, complete, reply
from labelwright.models.chat import load_backend
from labelwright.models.llm.backends import gguf_file, hf
from labelwright.models.llm.backends.gguf_file import Source, source_of
from labelwright.models.llm.backends.hf import TransformersBackend
from labelwright.models.llm.base import Backend, Request
from labelwright.store.errors import OperatorError, UserError
from tiny_gguf import write_gguf

CHOICES = ("billing", "bug", "praise")


@pytest.fixture(scope="module")
def file(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tiny, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


class TestContract(BackendContract):
    @pytest.fixture
    def made(self, file: Path) -> Iterator[Backend]:
        return TransformersBackend(str(file))

    def unanswerable(self) -> Request:
        return asking("word " * 600)


def test_it_answers_as_the_folder_it_was_written_from(
    tiny: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setattr(hf, "compute_dtype", lambda _: torch.float32)
    monkeypatch.chdir(file.parent)
    scored = asking("the screen stays black", schema=None, choices=CHOICES)
    written = asking("the screen stays black", schema=None, max_tokens=12)
    answers = []
    for name in (tiny, file, file.name):
        backend = load_backend(f"hf:{name}")
        assert backend is not None
        answers.append([reply(found) for found in complete(backend, [scored, written])])
        asyncio.run(backend.close())
    for other in answers[1:]:
        np.testing.assert_allclose(
            other[0].choice_logprobs, answers[0][0].choice_logprobs, atol=1e-5
        )
        assert other[1] == answers[0][1]
    assert "onvert" not in capfd.readouterr().err


def test_a_name_without_the_ending_is_a_folder_or_a_name_on_the_hub() -> None:
    assert source_of("some/model") == Source("some/model")
    assert source_of("some/model").options == {}


def test_a_file_on_the_hub_is_named_with_its_place() -> None:
    found = source_of("some/model/weights.Q4_1.GGUF")
    assert found == Source("some/model", "weights.Q4_1.GGUF")
    assert found.options == {"gguf_file": "weights.Q4_1.GGUF"}


def test_what_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_file, "find_spec", lambda name: None if name == "gguf" else True)
    with pytest.raises(UserError, match="not installed: `pip install gguf`"):
        load_backend("hf:some/model.gguf")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read .*: name a GGUF file that is there"):
        load_backend(f"hf:{tmp_path}/none.gguf")


def test_a_file_that_is_no_gguf_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.gguf").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    with pytest.raises(UserError, match=r"no GGUF file: it begins with b'\{\"mo'.* its folder"):
        load_backend(f"hf:{tmp_path}/config.gguf")


@pytest.mark.parametrize("kept", [4, 60, 20_000, 60_000, 200_000])
def test_a_file_that_is_cut_short_is_one_clear_line(file: Path, tmp_path: Path, kept: int) -> None:
    part = tmp_path / "part.gguf"
    whole = file.read_bytes()
    assert len(whole) > kept
    part.write_bytes(whole[:kept])
    backend = TransformersBackend(str(part))
    with pytest.raises(OperatorError, match=r"transformers cannot load .* whole GGUF file") as said:
        complete(backend, [asking("a")])
    assert "\n" not in str(said.value)
