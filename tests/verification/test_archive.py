"""Nothing in a bundle can do harm while it is looked at."""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import (
    Made,
    archive_of,
    refused,
)

from kms_conformance.errors import BundleError
from kms_conformance.verification import archive


def _zip(path: Path, name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Path:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(info, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "kind", "why"),
    [
        ("../out.txt", b"x", stat.S_IFREG, "names a place outside of it"),
        ("/etc/out.txt", b"x", stat.S_IFREG, "names a place outside of it"),
        ("a\\b.txt", b"x", stat.S_IFREG, "names a place outside of it"),
        ("bomb.txt", b"\0" * 30_000_000, stat.S_IFREG, "swells from "),
        ("link", b"/etc/passwd", stat.S_IFLNK, "not written the way this suite writes"),
        ("device", b"", stat.S_IFCHR, "not written the way this suite writes"),
        ("pipe", b"", stat.S_IFIFO, "not written the way this suite writes"),
        (".hidden", b"x", stat.S_IFREG, "which no run writes"),
        ("n" * 300, b"x", stat.S_IFREG, "which no run writes"),
    ],
    ids=["up", "root", "backslash", "bomb", "link", "device", "pipe", "hidden", "long"],
)
def test_harmful(made: Made, tmp_path: Path, *, name: str, content: bytes, kind: int, why: str) -> None:
    """Paths that lead out, bombs, links, devices and pipes are refused before anything is unpacked."""
    assert why in refused(_zip(tmp_path / "t.zip", name, content, kind | 0o644), made)


def test_absurd_sizes(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many, too large and too small files are refused, and so is what is no regular file."""
    path = tmp_path / "t.zip"
    entry = archive.Entry("a.txt", zlib.DEFLATED, 0, 4, archive.LARGEST_ENTRY + 1, 0)
    path.write_bytes(entry.header + b"....")
    assert "would be too large" in refused(path, made)
    path.write_bytes(b"")
    assert refused(path, made) == "it holds no file"
    assert refused(tmp_path, made) == "Is a directory"
    assert refused(tmp_path / "none.zip", made) == "No such file or directory"
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    assert refused(made.bundle, made) == "it holds more than 3 files"


def test_entry_that_says_less_than_it_holds(tmp_path: Path) -> None:
    """An entry is never unpacked further than its header says."""
    content = archive_of([("a.txt", b"\0" * 5000)], "end", b"e")
    entry, last = archive.entries_of(content)
    small = replace(entry, crc=zlib.crc32(b"\0" * 10), size=10)
    path = tmp_path / "t.zip"
    body = small.header + content[entry.data : last.end]
    path.write_bytes(body + archive.directory_of([small, last]))
    with pytest.raises(BundleError, match="is not what its header says"):
        archive.Archive(path, path.read_bytes()).unpack(tmp_path / "out")


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
def test_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """However much of a file is in memory at a time, it comes out as it went in, and one that is cut off is refused."""
    monkeypatch.setattr(archive, "_PIECE", piece)
    large = tmp_path / "large"
    large.write_bytes(b"".join(number.to_bytes(2, "big") for number in range(500)) + b"\0" * 500)
    path = tmp_path / "t.zip"
    with path.open("w+b") as file:
        writer = archive.ArchiveWriter(file)
        writer.add("a/large", large)
        writer.add("empty", b"")
        writer.close("end", b"e")
    archive.Archive(path, archive.mapped(path)).unpack(tmp_path / "out")
    assert (tmp_path / "out/a/large").read_bytes() == large.read_bytes()
    assert (tmp_path / "out/empty").read_bytes() == b""
    content = path.read_bytes()
    first, second, last = archive.entries_of(content)
    short = replace(first, packed=first.packed - 3)
    moved = replace(last, offset=short.end)
    path.write_bytes(
        short.header
        + content[first.data : first.end - 3]
        + content[last.offset : last.end]
        + archive.directory_of([short, moved])
    )
    assert second.size == 0
    with pytest.raises(BundleError, match="is not what its header says"):
        archive.Archive(path, path.read_bytes()).unpack(tmp_path / "again")
