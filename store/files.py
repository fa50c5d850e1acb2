"""Files that are there whole or not at all, and one process at a time in a project."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OperatorError, UserError

_FIXES = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space (quota exceeded)",
    errno.EROFS: "make the file system writable",
    errno.EACCES: "give this user write permission",
    errno.EPERM: "give this user write permission",
    errno.EIO: "check the disk",
}


def operator_error(error: OSError, doing: str) -> OperatorError:
    """Turn an error of the operating system into one that says what to do."""
    fix = _FIXES.get(error.errno or 0, "check the disk")
    where = f" {error.filename!r}" if error.filename else ""
    return OperatorError(
        f"{doing} failed{where}: {error.strerror or error}; {fix}, then run "
        "`labelwright resume PROJECT`: nothing is lost"
    )


def not_made(folder: Path, error: Exception) -> OperatorError:
    """What to say when a new folder could not be made: there is none to resume."""
    cause = error.__cause__ if isinstance(error, OperatorError) else error
    reason = getattr(cause, "strerror", None) or getattr(cause, "orig", None) or cause or error
    return OperatorError(
        f"the folder {str(folder)!r} could not be made: {reason}; free disk space or make the "
        "place writable, then give the command again: nothing was left behind"
    )


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Say what to do where a library lets an error of the disk through.

    Raises:
        OperatorError: the disk is full, broken or not writable.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OperatorError(
            f"{doing} failed, the project database cannot be written: {error}; free disk space or "
            f"make it writable, then run `labelwright resume PROJECT`: nothing is lost"
        ) from error
    except OSError as error:
        if error.errno not in _FIXES:
            raise
        raise operator_error(error, doing) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, moved onto it when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise operator_error(error, f"writing {str(path)!r}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder by `fill` so that it appears whole or not at all; an older one is replaced."""
    temporary = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        fill(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except OSError as error:
        raise operator_error(error, f"writing {str(folder)!r}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 (hex) over the names and digests of all files in a folder."""
    hasher = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        hasher.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return hasher.hexdigest()


class ProjectLock:
    """Holds a project for one writing process; the kernel lets go when the process dies."""

    def __init__(self, folder: Path) -> None:
        """Remember which folder to lock; `acquire` locks it."""
        self._path = folder / ".lock"
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            UserError: another process works on this project.
            OperatorError: the folder cannot be written to.
        """
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise operator_error(error, "opening the project") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise UserError(
                f"project {str(self._path.parent)!r} is in use by process {holder}: wait for it "
                "or stop it; `labelwright status` shows how far it is"
            ) from None
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(handle)
            raise operator_error(error, "opening the project") from error
        self._handle = handle

    def release(self) -> None:
        """Let go of the lock, if held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @staticmethod
    def held(folder: Path) -> bool:
        """Whether some process holds the project's lock now."""
        path = folder / ".lock"
        if not path.exists():
            return False
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False
