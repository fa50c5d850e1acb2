"""The wheel holds every package, prompt, template and the sample, and nothing of the tests."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Paths inside a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*build, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info" not in name}


def source_folders() -> list[str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = config["tool"]["setuptools"]["packages"]
    return [name.removeprefix("labelwright.").replace(".", "/") for name in packages]


def test_every_folder_with_an_init_is_a_listed_package() -> None:
    tops = {folder.split("/")[0] for folder in source_folders()}
    found = {
        path.parent.relative_to(ROOT).as_posix()
        for top in tops
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert found == set(source_folders())


def test_every_module_is_in_the_wheel(names: set[str]) -> None:
    wanted = {
        f"labelwright/{path.relative_to(ROOT).as_posix()}"
        for folder in source_folders()
        for path in (ROOT / folder).glob("*.py")
    }
    assert wanted <= names


def test_data_files_are_in_the_wheel(names: set[str]) -> None:
    wanted = {
        f"labelwright/{path.relative_to(ROOT).as_posix()}"
        for pattern in ("prompts/*.md", "*/templates/*", "evals/sample/*", "*/py.typed")
        for path in ROOT.glob(pattern)
    }
    assert wanted
    assert wanted <= names


def test_nothing_else_is_in_the_wheel(names: set[str]) -> None:
    tops = {folder.split("/")[0] for folder in source_folders()}
    assert {name.split("/")[1] for name in names} == tops
