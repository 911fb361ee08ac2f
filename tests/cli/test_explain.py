"""`explain` tells all that there is to a code, a section or a row, and who checks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from click.testing import CliRunner

from kms_conformance.cli.explain import by_weight, command, explain, explained
from kms_conformance.cli.log_lines import LONGEST_PIECE, lines
from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import known_contracts, load_contract
from kms_conformance.contract.lookup import in_log
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.errors import BadValueError

CONTRACT = load_contract("key_protect")


def explanation(wanted: str) -> str:
    """Return what is told of something."""
    return CliRunner().invoke(command, [wanted], catch_exceptions=False).output


@pytest.mark.parametrize(
    "wanted",
    ["KEY_DELETED_ERR", "key_deleted_err", " KEY_DELETED_ERR ", "error-messages-key-deleted-err", "7"],
)
def test_code_and_section(wanted: str) -> None:
    """A code, its section's anchor and its section's number all lead to status, text, link, advice and cases."""
    text = explanation(wanted)
    for part in (
        "KEY_DELETED_ERR  HTTP 410",
        "section 7: Key has already been deleted",
        "#error-messages-key-deleted-err",
        "message: Key has already been deleted. Please delete references to this key.",
        "how to provoke it: ",
        "what to answer: ",
        "key_protect.states.delete_twice: ",
    ):
        assert part in text


def test_row() -> None:
    """A row is told with its level, its evidence and its cases."""
    text = explanation("rotation-keeps-identity")
    assert text.startswith("rotation-keeps-identity  (MUST, ")
    assert "key_protect.rotation.versions_after_rotation" in text


@pytest.mark.parametrize("number", range(1, 37))
def test_every_section(number: int) -> None:
    """Each of the 36 sections can be asked for by its number, and names its codes."""
    section = next(entry for entry in CONTRACT.about["sections"] if entry["number"] == number)
    text = "\n".join(explain(CONTRACT, str(number)))
    assert text.startswith(f"Section {number} {section['title']}")
    assert all(code in text for code in section.get("codes", ()))


@pytest.mark.parametrize("code", CONTRACT.codes)
def test_every_code(code: str) -> None:
    """Each code says its status and how many cases check it, and a documented one how to provoke it."""
    text = "\n".join(explain(CONTRACT, code))
    code_entry = CONTRACT.codes[code]
    assert f"HTTP {' or '.join(map(str, code_entry.statuses))}" in text
    assert "checked by " in text
    assert ("how to provoke it" in text) or not code_entry.documented


def test_all_contracts_are_asked() -> None:
    """What two systems know is told of both, the default system first."""
    assert by_weight()[0] == "key_protect"
    assert set(by_weight()) == set(known_contracts())


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("KEY_DELETED_ER", "did you mean KEY_DELETED_ERR?"),
        ("keydeletederr", "did you mean KEY_DELETED_ERR?"),
        ("rotation-keeps-identiy", "did you mean rotation-keeps-identity?"),
        ("9999", "is an example"),
        ("", "is an example"),
    ],
)
def test_unknown(wanted: str, hint: str) -> None:
    """Something unknown is refused with the nearest known name."""
    with pytest.raises(BadValueError) as caught:
        command.main([wanted], standalone_mode=False)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_command_line(command: Callable[..., Any]) -> None:
    """The real command prints it, and refuses with exit code 2."""
    assert "HTTP 410" in command("explain", "KEY_DELETED_ERR").out
    ended = command("explain", "KEY_DELETED_ER")
    assert ended.code == 2
    assert (
        ended.err.splitlines()[0]
        == "error: CODE is 'KEY_DELETED_ER': no contract knows such a code, section or row."
    )


def test_catalogue_is_what_pytest_collects(command: Callable[..., Any]) -> None:
    """The list of cases names each that pytest collects (without parameters), with its rule and its rows."""
    ended = command(
        "--collect-only", "-q", "--pyargs", "kms_conformance.scenarios.key_protect", module="pytest"
    )
    assert ended.code == 0, ended.output
    collected = {
        line.partition("[")[0].rpartition("::")[2] for line in ended.out.splitlines() if "::test_" in line
    }
    listed = [case for case in listed_cases("key_protect") if case.id.startswith("key_protect.")]
    assert {case.id.rpartition(".")[2] for case in listed} == {
        name.removeprefix("test_") for name in collected
    }
    assert all(case.title and case.covers for case in listed)
    assert {row for case in listed for row in case.covers} <= set(CONTRACT.requirements)


LOG = """2026-11-29 INFO started
2026-11-29 ERROR kms: (KEY_DELETED_ERR)
2026-11-29 ERROR iks: {"code":"E09c0"}
2026-11-29 INFO done
"""


def test_log(command: Callable[..., Any]) -> None:
    """`explain -` names each refusal with its line, then tells each kind once."""
    ended = command("explain", "-", stdin=LOG)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("line 2: KEY_DELETED_ERR  HTTP 410")
    assert lines[1].startswith("line 3: E09c0  HTTP 401")
    assert "2 refusals of 2 kinds" in lines
    assert ended.out.count("how to provoke it") == 2


def test_log_without_refusals(command: Callable[..., Any]) -> None:
    """A log in which nothing is known is refused as an unknown code is."""
    ended = command("explain", "-", stdin="all is well\n")
    assert ended.code == 2
    assert "holds no code or message that a contract knows" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("wanted", "kind", "by"),
    [
        ("KEY_DELETED_ERR", "code", "name"),
        ("the answer was (key_deleted_err)", "code", "code"),
        ("Key is not in a valid state", "code", "message"),
        ("Conflict: Key could not be deleted: Please see `reasons`", "code", "heading"),
        ("Key could not be deleted", "section", "heading"),
        ("36", "section", "name"),
        ("rotation-keeps-identity", "row", "name"),
        ("CKR_IBM_WK_NOT_INITIALIZED", "row", "code"),
        ("209/71", "code", "name"),
    ],
)
def test_json(wanted: str, kind: str, by: str) -> None:
    """``--json`` prints a document that fits its schema."""
    document = json.loads(CliRunner().invoke(command, ["--json", wanted], catch_exceptions=False).output)
    assert SCHEMA_FILES.complaint("explain", document) is None
    assert document["line"] is None
    assert {answer["kind"] for answer in document["answers"]} == {kind}
    assert {answer["recognised_by"] for answer in document["answers"]} == {by}


def test_json_of_everything() -> None:
    """Every code, section and row of every contract makes a document that fits the schema."""
    contracts = [load_contract(name) for name in by_weight()]
    for contract in contracts:
        for name in (*contract.codes, *contract.sections, *contract.requirements):
            answers = [one.document() for one in explained([contract], name)]
            complaint = SCHEMA_FILES.complaint("explain", {"line": None, "answers": answers})
            assert complaint is None, (name, complaint)


def test_json_of_a_log() -> None:
    """``--json`` prints one document a line for a log."""
    output = CliRunner().invoke(command, ["--json", "-"], input=LOG, catch_exceptions=False).output
    documents = [json.loads(line) for line in output.splitlines()]
    assert [document["line"] for document in documents] == [2, 3]
    assert all(SCHEMA_FILES.complaint("explain", document) is None for document in documents)


def test_several_answers_are_ranked() -> None:
    """Several answers are counted; the first three are told in full, the others in a line each."""
    text = explanation("Action could not be performed on key")
    assert " answers fit this text, the likeliest first:" in text.splitlines()[0]
    assert "also possible:" in text
    assert text.count("  checked by ") == 3


@pytest.mark.parametrize("size", [1, 7, LONGEST_PIECE - 9, LONGEST_PIECE, 3 * LONGEST_PIECE])
@pytest.mark.parametrize("filler", [b"x ", b"x"])
def test_long_lines_are_read_in_pieces(size: int, filler: bytes) -> None:
    """A code is found wherever in a long line it stands, and the pieces stay small."""
    line = (filler * size)[:size] + b" KEY_DELETED_ERR " + (filler * size)[:size]
    log = BytesIO(b"first\n" + line + b"\nlast KEY_EXPIRED_ERR")
    read = list(lines(log))
    assert max(len(piece) for _, piece in read) <= LONGEST_PIECE + 120
    contracts = [load_contract(name) for name in by_weight()]
    assert [(refusal.line, refusal.answers[0].entry.name) for refusal in in_log(contracts, read)] == [
        (2, "KEY_DELETED_ERR"),
        (3, "KEY_EXPIRED_ERR"),
    ]


def test_bytes_that_are_no_text() -> None:
    """A log of any bytes is read; what is known in it is found."""
    log = BytesIO(bytes(range(256)) * 300 + b"\n\xff\xfe (KEY_DELETED_ERR)\r\n\0")
    contracts = [load_contract(name) for name in by_weight()]
    assert [refusal.answers[0].entry.name for refusal in in_log(contracts, lines(log))] == ["KEY_DELETED_ERR"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_logs_of_windows(encoding: str) -> None:
    """A log says the same in whatever characters it was written, with a mark or without, and however it comes."""
    text = "Schlüssel gelöscht\r\n409 KEY_DELETED_ERR\r\nThe key can\u2019t be rotated\n"
    contract = load_contract("key_protect")
    log = text.encode(encoding)
    assert list(lines(BytesIO(log))) == [
        (1, "Schlüssel gelöscht"),
        (2, "409 KEY_DELETED_ERR"),
        (3, "The key can\u2019t be rotated"),
    ]
    found = list(in_log([contract], lines(_InDrops(log))))
    assert [(one.line, one.answers[0].entry.name) for one in found] == [(2, "KEY_DELETED_ERR")]


def test_octets_of_two_encodings() -> None:
    """Octets that are no UTF-8 do not spoil what stands beside them."""
    log = BytesIO("Zürich ".encode() + b"Z\xfcrich \x81 KEY_DELETED_ERR")
    assert list(lines(log)) == [(1, "Zürich Zürich \x81 KEY_DELETED_ERR")]


class _InDrops(BytesIO):
    """A pipe that gives three octets at a time."""

    def read1(self, size: int | None = -1) -> bytes:
        del size
        return self.read(3)
