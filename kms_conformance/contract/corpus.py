"""The corpus file: requests with placeholders, made once and the same for every endpoint.

A corpus is an xz file of JSON lines. The first line describes it, each other line is one request. What differs from
endpoint to endpoint (ids, tokens, ciphertexts, times) stands as a placeholder between two private-use characters and is
filled in when the request leaves. The requests of the sample come first, so that a quick run reads no further.
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file
from pathlib import Path
from typing import Any

from kms_conformance.contract.contract import contract_folder, load_contract
from kms_conformance.errors import ContractError

FORMAT = 1
OPEN, CLOSE = "\ue000", "\ue001"
PLACEHOLDER = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")
_XZ_PRESET = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a corpus.

    ``operation`` is the operation it was made for, ``kind`` how (``coverage``, ``valid``, ``invalid``, ``twisted``).
    ``path`` and ``query`` are percent-encoded but for their placeholders. ``body`` is JSON text, ``raw`` a body of any
    bytes. ``who`` is ``""`` for the identity that may do this, ``"-"`` for no token at all, else an identity's name.
    """

    number: int
    operation: str
    kind: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    raw: bytes | None = None
    who: str = ""

    @property
    def id(self) -> str:
        """The name by which ``--replay`` finds the request again."""
        return f"c{self.number:05d}"

    def placeholders(self) -> set[str]:
        """Return the names of the placeholders that must be filled."""
        texts = [self.path, self.query, *self.headers.values(), self.body or ""]
        return {name for text in texts for name in PLACEHOLDER.findall(text)}

    def line(self) -> str:
        """Return the request as a line of the file."""
        raw = None if self.raw is None else base64.b64encode(self.raw).decode()
        row = [
            self.operation,
            self.kind,
            self.method,
            self.path,
            self.query,
            dict(self.headers),
            self.body,
            raw,
            self.who,
        ]
        return json.dumps(row, ensure_ascii=True, separators=(",", ":"))

    @classmethod
    def of_line(cls, number: int, line: str) -> Entry:
        """Read a request back from its line."""
        operation, kind, method, path, query, headers, body, raw, who = json.loads(line)
        content = None if raw is None else base64.b64decode(raw)
        return cls(number, operation, kind, method, path, query, headers, body, content, who)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that was read: what its first line says, the digest of the file, and requests."""

    about: Mapping[str, Any]
    sha256: str
    entries: Sequence[Entry]

    @property
    def sample(self) -> int:
        """How many of the requests, from the first on, are the fixed sample."""
        return int(self.about["sample"])


def fill(text: str, value: Callable[[str], str]) -> str:
    """Return a text with every placeholder replaced by what ``value`` gives for its name."""
    return PLACEHOLDER.sub(lambda match: value(match[1]), text) if OPEN in text else text


def placeholder(name: str) -> str:
    """Return the placeholder of a name."""
    return f"{OPEN}{name}{CLOSE}"


def pack(about: Mapping[str, Any], sample: Iterable[Entry], rest: Iterable[Entry]) -> bytes:
    """Return the bytes of a corpus file; equal requests give equal bytes."""
    first, others = list(sample), list(rest)
    head = {"format": FORMAT, **about, "size": len(first) + len(others), "sample": len(first)}
    lines = [json.dumps(head, sort_keys=True), *(entry.line() for entry in (*first, *others))]
    return lzma.compress("".join(f"{line}\n" for line in lines).encode("ascii"), preset=_XZ_PRESET)


def read_corpus(path: Path, *, whole: bool) -> Corpus:
    """Read a corpus file, the sample alone or the whole; raise :class:`ContractError` when it is none."""
    data = path.read_bytes()
    try:
        lines = _lines(data)
        about = json.loads(next(lines))
        if about.get("format") != FORMAT:
            raise ContractError(
                path.name, f"its format is {about.get('format')!r}, this suite reads {FORMAT}"
            )
        wanted = about["size"] if whole else about["sample"]
        entries = tuple(
            Entry.of_line(number, line) for number, line in zip(range(wanted), lines, strict=False)
        )
    except (lzma.LZMAError, EOFError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ContractError(path.name, f"it is not a corpus ({type(error).__name__})") from error
    if len(entries) != wanted:
        raise ContractError(path.name, f"it promises {wanted} requests and holds {len(entries)}")
    return Corpus(about, hashlib.sha256(data).hexdigest(), entries)


@cache
def shipped_corpus(contract_id: str, *, whole: bool) -> Corpus | None:
    """Return the corpus that comes with a contract, ``None`` where none does."""
    name = load_contract(contract_id).about.get("fuzz", {}).get("corpus")
    if not name:
        return None
    with _as_path(contract_id, name) as path:
        return read_corpus(path, whole=whole)


def forget_corpora() -> None:
    """Let go of the requests that were read: once the last case has ended nobody needs them, and they take much room."""
    shipped_corpus.cache_clear()


@cache
def shipped_digest(contract_id: str) -> str:
    """Return the SHA-256 of the corpus file that comes with a contract, ``""`` where none does."""
    corpus = shipped_corpus(contract_id, whole=False)
    return corpus.sha256 if corpus else ""


def _as_path(contract_id: str, name: str) -> Any:

    return as_file(contract_folder(contract_id) / name)


def _lines(data: bytes) -> Iterator[str]:
    """Yield the lines of compressed text without unpacking more than is read."""
    unpacker, rest = lzma.LZMADecompressor(), b""
    feed = data
    while not unpacker.eof:
        piece = unpacker.decompress(feed, max_length=1 << 16)
        feed = b""
        if not piece and unpacker.needs_input:
            raise EOFError
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode("ascii") for line in whole)
