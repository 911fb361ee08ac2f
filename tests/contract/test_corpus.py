"""The corpus file: what it holds, and that it is the same again."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.corpus import Entry, fill, pack, placeholder, read_corpus, shipped_corpus
from kms_conformance.errors import ContractError

ENTRY = Entry(
    0,
    "wrapKey",
    "valid",
    "POST",
    f"/keys/{placeholder('key:root')}",
    "a=%C3%A9",
    {"x": "y"},
    '{"a": "\u00e9"}',
    None,
    "",
)


def test_shipped_corpus_is_large_and_whole() -> None:
    """At least 20,000 requests for every operation, in a file of a few megabytes."""
    corpus = shipped_corpus("key_protect", whole=True)
    assert corpus is not None
    assert len(corpus.entries) >= 20_000
    assert {entry.operation for entry in corpus.entries} == set(load_contract("key_protect").operations)
    assert {entry.kind for entry in corpus.entries} == {"coverage", "valid", "invalid", "twisted"}
    assert len({entry.line() for entry in corpus.entries}) == len(corpus.entries)


def test_sample_spreads_over_all_operations() -> None:
    """The sample has some 2,000 requests, of every operation, and is the beginning of the whole."""
    sample, whole = shipped_corpus("key_protect", whole=False), shipped_corpus("key_protect", whole=True)
    assert sample is not None
    assert whole is not None
    assert 1500 <= len(sample.entries) <= 2500
    assert {entry.operation for entry in sample.entries} == set(load_contract("key_protect").operations)
    assert sample.entries == whole.entries[: len(sample.entries)]
    assert sample.sha256 == whole.sha256


def test_groups_hold_each_operation_once() -> None:
    """The cases that replay the corpus leave no operation out and send none twice."""
    from kms_conformance.scenarios.fuzz.test_corpus import GROUPS  # noqa: PLC0415 - a case, not a library

    corpus = shipped_corpus("key_protect", whole=False)
    assert corpus is not None
    named = [operation for operations in corpus.about["groups"].values() for operation in operations]
    assert sorted(named) == sorted(load_contract("key_protect").operations)
    groups = {group if isinstance(group, str) else group.values[0] for group in GROUPS}
    assert groups == set(corpus.about["groups"])


def test_no_token_and_no_id_stands_in_the_corpus() -> None:
    """What differs between endpoints is a placeholder: no request brings a token of its own that works."""
    corpus = shipped_corpus("key_protect", whole=True)
    assert corpus is not None
    own = [entry for entry in corpus.entries if "authorization" in entry.headers]
    assert len(own) < len(corpus.entries) / 20


def test_equal_requests_give_equal_bytes(tmp_path: Path) -> None:
    """Packing is deterministic, and reading gives back what was packed."""
    first, second = (pack({"groups": {}, "seed": 1}, [ENTRY], []) for _ in range(2))
    assert first == second
    path = tmp_path / "c.xz"
    path.write_bytes(first)
    assert read_corpus(path, whole=True).entries == (ENTRY,)


@pytest.mark.parametrize(
    "content",
    [b"", b"no xz", lzma.compress(b"{}\n"), lzma.compress(b'{"format": 1, "size": 2, "sample": 2}\n')],
)
def test_what_is_no_corpus_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is empty, cut short or something else ends in one sentence."""
    path = tmp_path / "c.xz"
    path.write_bytes(content)
    with pytest.raises(ContractError):
        read_corpus(path, whole=True)


def test_placeholders_are_filled() -> None:
    """Each placeholder is asked for by its name; the rest stays as it is."""
    assert fill(ENTRY.path, lambda name: name.upper()) == "/keys/KEY:ROOT"
    assert ENTRY.placeholders() == {"key:root"}


def test_built_again_it_is_the_same(tmp_path: Path) -> None:
    """The same seed and size give the same bytes, whatever the order of Python's hashes."""
    code = "import sys; from kms_conformance.fuzz.generate import build; sys.stdout.buffer.write(build('key_protect', 7, 60, only={'createKey', 'getKeys', 'unwrapKey'}))"
    made = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": number},
            cwd=tmp_path,
            capture_output=True,
            check=True,
        ).stdout
        for number in ("1", "2")
    ]
    assert made[0] == made[1]
    (tmp_path / "c.xz").write_bytes(made[0])
    assert len(read_corpus(tmp_path / "c.xz", whole=True).entries) == 60
