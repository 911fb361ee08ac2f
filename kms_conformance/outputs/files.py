"""How reports reach the disk: whole or not at all, and over nothing that is not ours."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from kms_conformance.errors import ReportDirError

# Every file of ours inside a directory that other tools may share begins so.
PREFIX = "kms-"
TEMPORARY = ".kms-"
BUNDLE = "bundle.zip"
"""The signed bundle, which is written after everything else."""


def prepare(directory: Path) -> None:
    """Make the directory and prove that it can be written to.

    A new one is its owner's alone: it names the instance, and who may do what there. Raises :class:`ReportDirError` when it cannot. To be called before a run, so that no run is lost for want of a
    place for its report, and again before writing.
    """
    probe = directory / f"{TEMPORARY}probe.{os.getpid()}.tmp"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ReportDirError(str(directory), error.strerror or str(error)) from error


def put(path: Path, text: str | Iterable[str]) -> Path:
    """Write a text, or its pieces, as UTF-8; see :func:`put_bytes`."""
    pieces = [text] if isinstance(text, str) else text
    return put_bytes(path, (piece.encode("utf-8", "backslashreplace") for piece in pieces))


def put_bytes(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Write a file, or its pieces; see :func:`put_by`."""
    return put_by(path, lambda file: file.writelines([content] if isinstance(content, bytes) else content))


def put_by(path: Path, write: Callable[[BinaryIO], None]) -> Path:
    """Have a file written under a temporary name and rename it, so that no reader sees half of it."""
    # Not tempfile: its files are readable by their owner only, and who may read a report its folder decides.
    temporary = path.with_name(f"{TEMPORARY}{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w+b") as file:
            write(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def open_file(path: Path) -> BufferedReader:
    """Open a regular file; raise :class:`OSError` for anything else: a pipe would keep the reader waiting."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def read_file(path: Path) -> bytes:
    """Return what a regular file holds; see :func:`open_file`."""
    with open_file(path) as file:
        return file.read()


def digest_and_size(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a regular file in hexadecimal, and its size in bytes; it is never whole in memory."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def clear(path: Path, shared: Collection[str] = ()) -> None:
    """Remove a file that an older run left, or from a directory the files that are ours.

    Ours are those with our :data:`PREFIX` and those that ``shared`` names.
    """
    if path.is_dir():
        for entry in list(path.iterdir()):
            if entry.name.startswith(PREFIX) or entry.name in shared:
                entry.unlink()
        if not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()
    else:
        path.unlink(missing_ok=True)


def clear_temporary(directory: Path) -> None:
    """Remove what a run left that was killed while it wrote."""
    for entry in directory.glob(f"{TEMPORARY}*.tmp"):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def put_directory(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    """Write many files, each with its name, into a directory that appears at once.

    Where other tools' files are in it, ours join them.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        base = f"{temporary}{os.sep}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        names = []
        for name, content in files:
            names.append(name)
            # Thousands of small files: plain descriptors take half the time of file objects.
            descriptor = os.open(base + name, flags, 0o666)
            try:
                os.write(descriptor, content)
            finally:
                os.close(descriptor)
        if path.exists():
            for name in names:
                (temporary / name).replace(path / name)
            temporary.rmdir()
        else:
            temporary.rename(path)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return path
