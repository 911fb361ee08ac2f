"""The contract loader: what it makes of the files, and what it says when they are broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kms_conformance.contract import contract as loader
from kms_conformance.contract.contract import Contract, known_contracts, load_contract, short_anchor
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import ContractError

CONTRACT = load_contract("key_protect")
ABOUT: dict[str, Any] = {
    "id": "own",
    "title": "Own",
    "edition": "2026-01-01",
    "sections": [],
}
CODE: dict[str, Any] = {
    "code": "NO_ERR",
    "status": 400,
    "messages": ["No."],
    "documented": True,
    "sections": [],
}
ROW: dict[str, Any] = {"id": "no", "section": "s", "text": "No.", "level": "MUST", "evidence": "documented"}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a contract of this test's own, which the loader finds."""
    folder = tmp_path / "own"
    folder.mkdir()
    write(folder)
    monkeypatch.setattr(loader, "contract_folder", lambda name: tmp_path / name)
    load_contract.cache_clear()
    yield folder
    load_contract.cache_clear()


def write(folder: Path, **files: Any) -> None:
    """Write the files of a contract; those that are not given hold the least."""
    documents = {
        "contract": ABOUT,
        "reason_codes": {"codes": [CODE]},
        "requirements": {"requirements": [ROW]},
        **files,
    }
    for name, document in documents.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))


def test_least_contract(own: Path) -> None:
    """A folder with three files is a contract; it needs neither operations nor an envelope."""
    loaded = load_contract("own")
    assert (loaded.title, loaded.edition, loaded.envelope, loaded.editions) == (
        "Own",
        "2026-01-01",
        "",
        ("page",),
    )
    assert loaded.codes["NO_ERR"].statuses == (400,)
    assert loaded.requirement("no").severity is Verdict.FAILED
    assert [row.id for row in loaded.rows()] == ["no"]


def test_digest_follows_every_file(own: Path) -> None:
    """The digest of a report changes with any file of the contract, and with nothing else."""
    before = load_contract("own").sha256
    load_contract.cache_clear()
    assert load_contract("own").sha256 == before
    (own / "errata.yaml").write_text("errata: []\n")
    load_contract.cache_clear()
    assert load_contract("own").sha256 != before


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"requirements": {"requirements": [{"id": "no"}]}}, "a row is incomplete"),
        ({"reason_codes": {"codes": [{"code": "X"}]}}, "a row is incomplete"),
    ],
)
def test_incomplete_rows(own: Path, files: dict[str, Any], says: str) -> None:
    """A row without what every row has is refused, with the name of what is missing."""
    write(own, **files)
    with pytest.raises(ContractError, match=says):
        load_contract("own")


def test_files_that_are_missing_or_broken(own: Path) -> None:
    """A file that is not there or no YAML is named; an unknown contract too."""
    with pytest.raises(ContractError, match=r"nowhere/contract\.yaml"):
        load_contract("nowhere")
    (own / "requirements.yaml").write_text("a: [")
    with pytest.raises(ContractError, match=r"own/requirements\.yaml") as caught:
        load_contract("own")
    assert caught.value.exit_code == 5


def test_unknown_row() -> None:
    """Asking for a row that is not there names it."""
    with pytest.raises(ContractError, match="no row 'no-such-row'"):
        CONTRACT.requirement("no-such-row")


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/api/v2/keys", ""),
        ("GET", "/api/v2/keys/0f0f", ""),
        ("GET", "/api/v2/keys/registrations", ""),
        ("GET", "/api/v2/keys/0f0f/registrations", ""),
        ("POST", "/api/v2/keys/0f0f/actions/wrap", ""),
        ("GET", "/api/v2/no/such/path", None),
        ("TRACE", "/api/v2/keys", None),
    ],
)
def test_operations_by_path(method: str, path: str, operation: str | None) -> None:
    """A request finds its operation; a literal step binds tighter than a parameter."""
    operation_id = CONTRACT.operation_of(method, path)
    assert (operation_id is None) is (operation is None)
    if operation_id:
        contract_operation = CONTRACT.operations[operation_id]
        assert contract_operation.method == method
        assert len(contract_operation.path.split("/")) == len(path.split("/"))
        literal = path.rsplit("/", 1)[-1]
        assert contract_operation.path.endswith((literal, "}"))
        if literal == "registrations":
            assert contract_operation.path.endswith("registrations")


def test_every_operation_is_found_by_its_own_path() -> None:
    """No operation of the document hides another."""
    for operation in CONTRACT.operations.values():
        path = "/".join("x1" if step.startswith("{") else step for step in operation.path.split("/"))
        assert CONTRACT.operation_of(operation.method, path) == operation.id


def test_severity_by_level_and_evidence() -> None:
    """MUST fails and SHOULD warns where a source shows it; what is only reported warns; what no source says is recorded."""
    row = next(iter(CONTRACT.requirements.values()))
    table = {
        ("MUST", "documented"): Verdict.FAILED,
        ("MUST", "observed"): Verdict.FAILED,
        ("SHOULD", "documented"): Verdict.WARNED,
        ("MAY", "observed"): Verdict.WARNED,
        ("MUST", "reported"): Verdict.WARNED,
        ("MUST", "unspecified"): Verdict.PASSED,
    }
    for (level, evidence), severity in table.items():
        assert replace(row, level=level, evidence=evidence).severity is severity


def test_links() -> None:
    """A row links to its section of the page by either form of the anchor; a wire rule links nowhere."""
    assert CONTRACT.link("key-deleted-err") == CONTRACT.link("error-messages-key-deleted-err")
    assert CONTRACT.link("key-deleted-err").endswith("#error-messages-key-deleted-err")
    assert CONTRACT.link("wire") == ""
    assert short_anchor("error-config_rule_conflict_err") == "config-rule-conflict-err"


def test_every_contract_loads() -> None:
    """Each contract that is installed loads, with rows and a digest."""
    for contract_id in known_contracts():
        loaded: Contract = load_contract(contract_id)
        assert loaded.rows()
        assert len(loaded.sha256) == 64
