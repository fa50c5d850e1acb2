"""Files that are there whole or not at all, and one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from labelwright.store.errors import OperatorError, UserError
from labelwright.store.files import (
    ProjectLock,
    file_digest,
    folder_digest,
    operator_error,
    replacing,
    write_folder,
)

HOLD = """
import sys, pathlib
from labelwright.store.files import ProjectLock
ProjectLock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def filled(name: str) -> Callable[[Path], None]:
    """Fills a folder with one file."""

    def fill(folder: Path) -> None:
        (folder / name).write_text("1")

    return fill


def test_replacing_swaps_the_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with replacing(target) as path:
        path.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_replacing_that_fails_keeps_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fails() -> None:
        with replacing(target) as path:
            path.write_text("half")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fails()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_replacing_in_a_missing_folder_is_an_operators_error(tmp_path: Path) -> None:
    def fails() -> None:
        with replacing(tmp_path / "none" / "a.txt") as path:
            path.write_text("x")

    with pytest.raises(OperatorError, match=r"a\.txt.*nothing is lost"):
        fails()


def test_write_folder_makes_the_whole_folder(tmp_path: Path) -> None:
    target = tmp_path / "model"
    write_folder(target, filled("a"))
    write_folder(target, filled("b"))
    assert names(target) == ["b"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError("stop")])
def test_write_folder_that_fails_keeps_the_old_folder_and_nothing_else(
    tmp_path: Path, error: Exception
) -> None:
    target = tmp_path / "model"
    write_folder(target, filled("a"))

    def fails(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise error

    with pytest.raises((OperatorError, KeyError)):
        write_folder(target, fails)
    assert names(target) == ["a"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize(
    ("code", "fix"),
    [(28, "free some disk space"), (30, "make the file system writable"), (5, "check the disk")],
)
def test_each_error_of_the_system_comes_with_a_fix(code: int, fix: str) -> None:
    message = str(operator_error(OSError(code, os.strerror(code), "/some/file"), "writing"))
    assert fix in message
    assert "'/some/file'" in message
    assert "\n" not in message


def test_digests_follow_names_and_contents(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    assert file_digest(tmp_path / "a" / "file") == file_digest(tmp_path / "b" / "file")
    same, other = folder_digest(tmp_path / "a"), folder_digest(tmp_path / "c")
    assert same == folder_digest(tmp_path / "b") != other
    (tmp_path / "b" / "file").rename(tmp_path / "b" / "named")
    assert folder_digest(tmp_path / "b") != same


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the project's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_holds_the_project(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(UserError, match=f"in use by process {holder.pid}: wait for it"):
        ProjectLock(tmp_path).acquire()
    assert ProjectLock.held(tmp_path)


def test_the_lock_goes_with_the_process_that_held_it(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    assert not ProjectLock.held(tmp_path)
    lock = ProjectLock(tmp_path)
    lock.acquire()
    assert ProjectLock.held(tmp_path)
    lock.release()
    assert not ProjectLock.held(tmp_path)


def test_a_lock_can_be_taken_again_after_release(tmp_path: Path) -> None:
    lock = ProjectLock(tmp_path)
    for _ in range(2):
        lock.acquire()
        lock.release()
    lock.release()
    assert not ProjectLock.held(tmp_path)


def test_a_folder_that_is_not_there_holds_no_lock(tmp_path: Path) -> None:
    assert not ProjectLock.held(tmp_path / "none")
    with pytest.raises(OperatorError, match="opening the project"):
        ProjectLock(tmp_path / "none").acquire()
