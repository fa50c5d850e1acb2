"""Model files of llama.cpp (GGUF), which transformers reads: where one is, and if it is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ....store.errors import UserError

ENDING = ".gguf"
PACKAGES = ("accelerate", "gguf")
"""What transformers needs to read such a file."""
_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class Source:
    """Where transformers finds a model: a folder or a name on the hub, and the file in it."""

    where: str
    file: str | None = None

    @property
    def options(self) -> dict[str, str]:
        """What `from_pretrained` is given beside `where`."""
        return {} if self.file is None else {"gguf_file": self.file}


def source_of(name: str) -> Source:
    """The source that `hf:NAME` means.

    Args:
        name: a folder or a name on the hub, or either of them followed by `/FILE.gguf`.

    Raises:
        UserError: a GGUF file where the packages that read it are missing, that is not there, or
            that is none.
    """
    if not name.lower().endswith(ENDING):
        return Source(name)
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise UserError(
            f"'hf:{name}' is a GGUF file, and what reads it is not installed: "
            f"`pip install {' '.join(missing)}`"
        )
    path = Path(name)
    if path.parent.is_dir():
        _check(name, path)
    return Source(path.parent.as_posix(), path.name)


@contextmanager
def quiet_reading(source: Source) -> Iterator[None]:
    """Silence the bar that transformers shows while it unpacks a GGUF file.

    It is drawn by tqdm itself, so the settings of transformers do not reach it.
    """
    if source.file is None:
        yield
        return
    import transformers.modeling_gguf_pytorch_utils as reading

    module: Any = reading
    shown = module.tqdm
    module.tqdm = partial(shown, disable=True)
    try:
        yield
    finally:
        module.tqdm = shown


def _check(name: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            begins = file.read(len(_MAGIC))
    except OSError as error:
        raise UserError(
            f"'hf:{name}' cannot be read ({error.strerror}): name a GGUF file that is there"
        ) from None
    if begins != _MAGIC:
        raise UserError(
            f"'hf:{name}' is no GGUF file: it begins with {begins!r}, not {_MAGIC!r}; for a model "
            "in the format of transformers name its folder"
        )
