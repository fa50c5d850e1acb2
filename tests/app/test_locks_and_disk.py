"""Two processes, a full disk, a folder that cannot be written: one clear line, then go on."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from labelwright.app.project import Project
from labelwright.app.runs import Options, create_project, drive
from labelwright.store.files import ProjectLock

NOBODY = 65_534
Cli = Callable[..., harness.Said]


def make(data: Path, folder: Path, **changed: Any) -> None:
    """A project that has not begun."""
    given = {**harness.OPTIONS, **changed}
    create_project(Options(goal=harness.GOAL, data=str(data), project=folder, **given)).close()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an undisturbed run comes to."""
    base = tmp_path_factory.mktemp("calm")
    make(harness.sample(base / "messages.csv"), base / "project")
    project = Project(base / "project")
    drive(project, encoder=harness.HashEncoder())
    project.close()
    return harness.fingerprint(base / "project")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file of 120 messages."""
    return harness.sample(tmp_path / "messages.csv")


# --- two processes ---------------------------------------------------------------------------


def test_a_second_process_is_refused_and_status_works_meanwhile(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    make(data, folder)
    first = harness.start("resume", str(folder))
    try:
        wait_for(lambda: ProjectLock.held(folder), first)
        second = harness.start("resume", str(folder))
        asked = harness.start("status", str(folder), "--json")
        out, err = second.communicate(timeout=120)
        status, _ = asked.communicate(timeout=120)
    finally:
        first_out, first_err = first.communicate(timeout=120)
    assert (second.returncode, out) == (2, "")
    assert err.startswith("labelwright: ")
    assert err.count("\n") == 1
    assert f"in use by process {first.pid}" in err
    assert "labelwright status" in err
    assert asked.returncode == 0
    assert '"items": 120' in status
    assert (first.returncode, first_err) == (0, ""), first_out


def test_every_writing_command_is_refused_while_another_process_works(
    data: Path, tmp_path: Path, cli: Cli
) -> None:
    folder = tmp_path / "project"
    make(data, folder)
    script = "import sys, time; from pathlib import Path; from labelwright.store.files import "
    script += "ProjectLock; ProjectLock(Path(sys.argv[1])).acquire(); print(1, flush=True); "
    script += "time.sleep(60)"
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "1\n"
            for args in (["resume", str(folder)], ["review", str(folder)]):
                said = cli(*args)
                assert said.code == 2
                assert f"in use by process {holder.pid}" in said.error_line
            shown = cli("status", str(folder), "--json").json
            assert (shown["running"], shown["finished"]) == (True, False)
        finally:
            holder.kill()
    assert cli("status", str(folder), "--json").json["running"] is False
    assert cli("resume", str(folder)).code == 0


# --- a full disk -------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, free: int) -> Path:
    """Fill a disk up to `free` bytes, with one file."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        found = os.statvfs(disk)
        file.write(bytes(max(0, found.f_bavail * found.f_frsize - free)))
    return filler


@pytest.mark.slow
@pytest.mark.parametrize("free", [250_000, 1_800_000])
def test_a_full_disk_is_one_line_and_resume_goes_on(
    free: int, data: Path, small_disk: Path, cli: Cli, calm: dict[str, Any]
) -> None:
    folder = small_disk / "project"
    make(data, folder)
    filler = fill(small_disk, free)
    said = cli("resume", str(folder))
    assert said.code == 1, said
    assert "labelwright resume" in said.error_line
    assert "disk" in said.error_line
    filler.unlink()
    again = cli("resume", str(folder))
    assert again.code == 0, again
    assert harness.fingerprint(folder) == calm
    assert harness.asked_twice(folder) == []


def test_a_disk_that_fills_again_and_again(
    data: Path, small_disk: Path, cli: Cli, calm: dict[str, Any]
) -> None:
    folder = small_disk / "project"
    make(data, folder)
    failures = 0
    for free in range(30_000, 3_000_000, 30_000):
        filler = fill(small_disk, free)
        said = cli("resume", str(folder))
        filler.unlink()
        if said.code == 0:
            break
        assert (said.code, "labelwright resume" in said.error_line) == (1, True)
        failures += 1
    assert failures > 4
    assert harness.fingerprint(folder) == calm
    assert harness.asked_twice(folder) == []


def test_no_room_for_the_project_leaves_nothing(data: Path, small_disk: Path, cli: Cli) -> None:
    fill(small_disk, 20_000)
    said = cli(*harness.arguments(data, small_disk / "project"))
    assert said.code == 1
    assert "free" in said.error_line
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


# --- a folder that cannot be written -----------------------------------------------------------


def test_a_read_only_file_system_is_one_line_and_resume_goes_on(
    data: Path, small_disk: Path, cli: Cli, calm: dict[str, Any]
) -> None:
    folder = small_disk / "project"
    make(data, folder, reviewer="none")
    assert cli("resume", str(folder)).code == 10
    gc.collect()  # the kernel refuses while a file is open for writing
    remount(small_disk, "ro")
    said = cli("resume", str(folder), "--reviewer", "simulated")
    assert said.code == 1
    assert "writable" in said.error_line
    remount(small_disk, "rw")
    assert cli("resume", str(folder), "--reviewer", "simulated").code == 0
    assert harness.fingerprint(folder) == calm


def test_an_auditor_reads_a_project_that_cannot_be_written(
    data: Path, small_disk: Path, cli: Cli
) -> None:
    folder = small_disk / "project"
    make(data, folder, reviewer="simulated")
    assert cli("resume", str(folder)).code == 0
    gc.collect()
    remount(small_disk, "ro")
    try:
        assert cli("audit", str(folder), "--verify").code == 0
        assert "finished" in cli("status", str(folder)).out
    finally:
        remount(small_disk, "rw")


def test_a_folder_of_somebody_else_is_one_line(data: Path, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    folder = tmp_path / "project"
    make(data, folder)
    for place in (folder, *folder.parents[:4]):
        place.chmod(0o755)
    child = harness.start("resume", str(folder), as_user=NOBODY)
    out, err = child.communicate(timeout=120)
    said = harness.Said(child.returncode, out, err)
    assert said.code == 1
    assert "writ" in said.error_line
    assert said.out == ""
    again = harness.start("resume", str(folder))
    assert (again.communicate(timeout=120)[1], again.returncode) == ("", 0)


def remount(place: Path, how: str) -> None:
    """Make a file system read-only or writable."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def wait_for(fact: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something holds, while a process runs."""
    deadline = time.monotonic() + 60
    while not fact():
        assert process.poll() is None, "the process ended before it was seen to work"
        assert time.monotonic() < deadline
        time.sleep(0.01)
