"""The ZIP file of a bundle: one form is written, and nothing else is read.

Each byte of the file is determined by the names and contents of its entries, so that a changed byte is a refusal
wherever it stands: fixed dates and modes, no extra fields, no comments, no gaps. The last entry is the signed envelope. It is
stored as it is, and what comes before it is what its digest covers. Any ZIP reader opens the file.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kms_conformance.errors import BundleError
from kms_conformance.outputs.files import open_file

MOST_ENTRIES, LARGEST_FILE, LARGEST_ENTRY, LARGEST_IN_ALL = 20_000, 1 << 29, 1 << 29, 1 << 30
"""Limits of an archive: entries, bytes of the file, bytes of an entry and of all entries when they are unpacked."""
DENSEST = 250
"""How many times as large an entry may be as it is when packed; transcripts come to about 30."""

_LOCAL, _CENTRAL, _END = "<IHHHHHIIIHH", "<IHHHHHHIIIHHHHHII", "<IHHHHIIH"
_LOCAL_SIZE = struct.calcsize(_LOCAL)
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = 0x04034B50, 0x02014B50, 0x06054B50
_VERSION, _MADE_BY_UNIX, _FIRST_OF_1980, _REGULAR_FILE = 20, 0x0314, 0x21, 0o100644 << 16
_STORED, _DEFLATED = 0, zlib.DEFLATED
_NAME = re.compile(
    r"[A-Za-z0-9_\[\](),+=@~-][A-Za-z0-9._\[\](),+=@~-]*(?:/[A-Za-z0-9_\[\](),+=@~-][A-Za-z0-9._\[\](),+=@~-]*)*"
)
_LONGEST_NAME = 255
_PIECE = 1 << 20
"""Bytes of a file that are in memory at a time."""
_FORM = "it is not written the way this suite writes a bundle, so that it was packed anew or changed"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as its header tells it: ``offset`` is that of the header, sizes are in bytes."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int

    @property
    def data(self) -> int:
        """Where the content begins."""
        return self.offset + _LOCAL_SIZE + len(self.name)

    @property
    def end(self) -> int:
        """Where the next entry begins."""
        return self.data + self.packed

    @property
    def header(self) -> bytes:
        """The header and the name, as they stand before the content."""
        return struct.pack(
            _LOCAL,
            *(_LOCAL_MARK, _VERSION, 0, self.method, 0, _FIRST_OF_1980),
            *(self.crc, self.packed, self.size, len(self.name), 0),
        ) + self.name.encode("ascii")


class ArchiveWriter:
    """Writes an archive into a file that is open for reading and writing, entry by entry; none is whole in memory."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin at the start of an empty file."""
        self._file = file
        self._entries: list[Entry] = []

    def add(self, name: str, content: bytes | Path) -> None:
        """Pack a text, or a file, as the next entry. Raises :class:`BundleError` for a name that no bundle has."""
        names = {entry.name for entry in self._entries}
        if _NAME.fullmatch(name) is None or len(name) > _LONGEST_NAME or name in names:
            raise BundleError(name, "a file of this name cannot be part of a bundle")
        offset = self._file.tell()
        # Its sizes and its checksum are known when it is packed.
        self._file.write(Entry(name, _DEFLATED, 0, 0, 0, offset).header)
        deflate = zlib.compressobj(6, _DEFLATED, -zlib.MAX_WBITS)
        crc = packed = size = 0
        for piece in _pieces(content):
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            packed += self._file.write(deflate.compress(piece))
        packed += self._file.write(deflate.flush())
        entry = Entry(name, _DEFLATED, crc, packed, size, offset)
        self._file.seek(offset)
        self._file.write(entry.header)
        self._file.seek(entry.end)
        self._entries.append(entry)

    def digest(self) -> str:
        """Return the SHA-256 of all entries so far, in hexadecimal: what a signature covers."""
        self._file.seek(0)
        digest = hashlib.file_digest(self._file, "sha256").hexdigest()  # type: ignore[arg-type]  # any open file
        self._file.seek(0, os.SEEK_END)
        return digest

    def close(self, name: str, content: bytes) -> None:
        """Write a last entry as it is, and the directory."""
        last = Entry(name, _STORED, zlib.crc32(content), len(content), len(content), self._file.tell())
        self._file.write(last.header + content + directory_of([*self._entries, last]))


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with open_file(content) as file:
        while piece := file.read(_PIECE):
            yield piece


def mapped(path: Path) -> bytes | mmap.mmap:
    """Return the content of a regular file, which the system reads where it is looked at; raise :class:`OSError`."""
    with open_file(path) as file:
        is_empty = not os.fstat(file.fileno()).st_size
        return b"" if is_empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Archive:
    """An archive that was read and found to have our form; nothing is unpacked yet.

    Raises :class:`BundleError` where the file is no such archive, or where unpacking it would do harm.
    """

    def __init__(self, path: Path, content: bytes | mmap.mmap) -> None:
        self._path, self._content = str(path), content
        self.entries = list(self._walk())
        if not self.entries:
            raise BundleError(self._path, "it holds no file")
        self.last = self.entries[-1]
        if content[self.last.end :] != directory_of(self.entries) or self.last.method != _STORED:
            raise BundleError(self._path, _FORM)

    def _walk(self) -> Iterator[Entry]:
        in_all, names = 0, set[str]()
        try:
            for number, entry in enumerate(entries_of(self._content), 1):
                if number > MOST_ENTRIES:
                    raise BundleError(self._path, f"it holds more than {MOST_ENTRIES:,} files")
                in_all += entry.size
                self._check(entry, in_all)
                if entry.name in names:
                    raise BundleError(self._path, f"it holds {entry.name!r} twice")
                names.add(entry.name)
                yield entry
        except (struct.error, UnicodeDecodeError) as error:
            raise BundleError(self._path, _FORM) from error

    def _check(self, entry: Entry, in_all: int) -> None:
        """Refuse an entry that would do harm when it is unpacked, or that has another form than ours."""
        name = entry.name
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise BundleError(self._path, f"the file {name!r} in it names a place outside of it")
        if entry.size > LARGEST_ENTRY or in_all > LARGEST_IN_ALL:
            raise BundleError(
                self._path, f"unpacked, {name!r} in it would be too large ({entry.size:,} bytes)"
            )
        if entry.size > DENSEST * max(entry.packed, 1):
            raise BundleError(
                self._path, f"{name!r} in it swells from {entry.packed:,} to {entry.size:,} bytes"
            )
        if _NAME.fullmatch(name) is None or len(name) > _LONGEST_NAME:
            raise BundleError(self._path, f"it holds a file of the name {name!r}, which no run writes")
        if self._content[entry.offset : entry.data] != entry.header or entry.method not in {
            _STORED,
            _DEFLATED,
        }:
            raise BundleError(self._path, _FORM)

    @property
    def digest(self) -> str:
        """The SHA-256 of everything before the last entry, in hexadecimal."""
        return hashlib.sha256(memoryview(self._content)[: self.last.offset]).hexdigest()

    @property
    def envelope(self) -> bytes:
        """The content of the last entry."""
        return self._content[self.last.data : self.last.end]

    def unpack(self, directory: Path) -> None:
        """Write each entry but the last one below a directory; never more than its header tells."""
        for entry in self.entries[:-1]:
            place = directory / entry.name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                file.writelines(self._unpacked(entry))

    def _unpacked(self, entry: Entry) -> Iterator[bytes]:
        """Yield the content piece by piece; raise :class:`BundleError` before more of it than the header tells is given."""
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        crc = size = 0
        place, packed = entry.data, b""
        while not inflate.eof and size <= entry.size:
            if not packed:
                packed = self._content[place : min(place + _PIECE, entry.end)]
                place += len(packed)
            try:
                unpacked = inflate.decompress(packed, _PIECE)
            except zlib.error as error:
                raise BundleError(self._path, f"{entry.name!r} in it cannot be unpacked") from error
            if not packed and not unpacked:
                break  # it is cut off
            packed = inflate.unconsumed_tail
            crc, size = zlib.crc32(unpacked, crc), size + len(unpacked)
            if size <= entry.size:
                yield unpacked
        whole = inflate.eof and not inflate.unused_data and place == entry.end and entry.method == _DEFLATED
        if not whole or size != entry.size or crc != entry.crc:
            raise BundleError(self._path, f"{entry.name!r} in it is not what its header says")


def entries_of(content: bytes | mmap.mmap) -> Iterator[Entry]:
    """Yield the entries from the first on, as their headers tell them; raise :class:`struct.error` where one is cut off."""
    offset = 0
    while offset < len(content):
        (mark,) = struct.unpack_from("<I", content, offset)
        if mark != _LOCAL_MARK:
            return
        _, _, _, method, _, _, crc, packed, size, length, _ = struct.unpack_from(_LOCAL, content, offset)
        name = content[offset + _LOCAL_SIZE : offset + _LOCAL_SIZE + length].decode("ascii")
        entry = Entry(name, method, crc, packed, size, offset)
        if entry.end > len(content):
            raise struct.error("an entry is longer than the file")
        yield entry
        offset = entry.end


def directory_of(entries: Sequence[Entry]) -> bytes:
    """Return the central directory and what ends an archive."""
    listed = b"".join(
        struct.pack(
            _CENTRAL,
            *(_CENTRAL_MARK, _MADE_BY_UNIX, _VERSION, 0, entry.method, 0, _FIRST_OF_1980),
            *(entry.crc, entry.packed, entry.size, len(entry.name), 0, 0, 0, 0, _REGULAR_FILE, entry.offset),
        )
        + entry.name.encode("ascii")
        for entry in entries
    )
    end = entries[-1].end
    return listed + struct.pack(_END, _END_MARK, 0, 0, len(entries), len(entries), len(listed), end, 0)
