"""`explain` tells all that there is to a code, a section or a row, and who checks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from kms_conformance.cli.explain import by_weight, command, explain
from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import known_contracts, load_contract
from kms_conformance.errors import BadValueError

CONTRACT = load_contract("key_protect")


def told(wanted: str) -> str:
    """Return what is told of something."""
    return CliRunner().invoke(command, [wanted], catch_exceptions=False).output


@pytest.mark.parametrize(
    "wanted",
    ["KEY_DELETED_ERR", "key_deleted_err", " KEY_DELETED_ERR ", "error-messages-key-deleted-err", "7"],
)
def test_code_and_section(wanted: str) -> None:
    """A code, its section's anchor and its section's number all lead to status, text, link, advice and cases."""
    text = told(wanted)
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
    text = told("rotation-keeps-identity")
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
    known = CONTRACT.codes[code]
    assert f"HTTP {' or '.join(map(str, known.statuses))}" in text
    assert "checked by " in text
    assert ("how to provoke it" in text) or not known.documented


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
    with pytest.raises(BadValueError) as wrong:
        command.main([wanted], standalone_mode=False)
    assert hint in wrong.value.hint
    assert wrong.value.exit_code == 2


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
    assert ended.code == 0, ended.told
    collected = {
        line.partition("[")[0].rpartition("::")[2] for line in ended.out.splitlines() if "::test_" in line
    }
    listed = [case for case in listed_cases("key_protect") if case.id.startswith("key_protect.")]
    assert {case.id.rpartition(".")[2] for case in listed} == {
        name.removeprefix("test_") for name in collected
    }
    assert all(case.title and case.covers for case in listed)
    assert {row for case in listed for row in case.covers} <= set(CONTRACT.requirements)
