"""The contract of AWS KMS fits the vendor's model, and its cases keep the rules of their authors' page."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import botocore.loaders
import botocore.session
import pytest
import yaml
from botocore import __version__ as botocore_version

from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict

ROOT = Path(__file__).resolve().parents[3]
AWS = load_contract("aws_kms")
MODEL = botocore.session.get_session().get_service_model("kms")
FILES = sorted((ROOT / "scenarios" / "aws_kms").glob("test_*.py"))
COMMON = {"ValidationException", "AccessDeniedException", "ThrottlingException"}
"""Codes that every service of the vendor may answer with, which its model does not list by operation."""
LONGEST = 25


def errors_of(operation: str) -> set[str]:
    """Return the codes that the model gives an operation."""
    return {shape.name for shape in MODEL.operation_model(operation).error_shapes}


def test_size() -> None:
    """There are about a hundred rows, none of them observed: nobody has recorded the real service."""
    rows = AWS.requirements.values()
    assert len(rows) > 90
    assert {row.evidence for row in rows} <= {"documented", "reported", "unspecified"}
    assert "documents only" in AWS.title
    assert [row.id for row in rows if row.evidence != "documented" and row.severity is Verdict.FAILED] == []


def test_operations_are_the_models() -> None:
    """Each operation is one of the model, told apart by its header."""
    assert set(AWS.operations) <= set(MODEL.operation_names)
    assert len(AWS.operations) > 40
    for name in AWS.operations:
        assert AWS.operation_of("POST", "/", {"X-Amz-Target": f"TrentService.{name}"}) == name
    assert AWS.operation_of("POST", "/", {"X-Amz-Target": "TrentService.NoSuchThing"}) is None


def test_codes_are_the_models() -> None:
    """Each code is an error of some operation, or one that every service has."""
    model_codes = set().union(*(errors_of(name) for name in MODEL.operation_names)) | COMMON
    assert set(AWS.codes) <= model_codes
    assert {row.code for row in AWS.requirements.values() if row.code} <= set(AWS.codes)


@pytest.mark.parametrize("operation", AWS.operations)
def test_schemas_follow_the_model(operation: str) -> None:
    """What a success must have is a member of the operation's output; secrets that it may show are too."""
    output = MODEL.operation_model(operation).output_shape
    members = set(output.members) if output else set()
    contract_operation = AWS.operations[operation]
    for name in contract_operation.schemas.values():
        schema = yaml.safe_load((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
        assert set(schema["required"]) <= members
        assert {member for member, rule in schema["properties"].items() if rule is not False} <= members
    assert set(contract_operation.secret_paths) <= members


def test_source_is_the_one_that_was_read() -> None:
    """A client library whose model has changed is one that somebody has to read again."""
    source = AWS.about["sources"][0]
    if botocore_version not in source["title"]:
        pytest.skip(f"botocore {botocore_version} is installed, another than the one that was read")
    path = Path(botocore.loaders.__file__).parent / "data" / "kms" / "2014-11-01" / "service-2.json.gz"
    import gzip  # noqa: PLC0415 - the one place that needs it

    assert hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() == source["file_sha256"]


def refusals(tree: ast.AST) -> set[str]:
    """Return the codes that a module's cases expect."""
    return {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "is_refused"
        and isinstance(node.args[0], ast.Constant)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shape_of_cases(path: Path) -> None:
    """A case has at most 25 lines and a rule of its own, and says what it leaves behind."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    cases = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    for case in cases:
        assert (case.end_lineno or 0) - case.lineno < LONGEST, case.name
        assert ast.get_docstring(case), case.name
    assert 'impact("keys")' in path.read_text(encoding="utf-8")
    assert refusals(tree) <= set(AWS.codes)


def test_every_row_has_a_case() -> None:
    """Every row that is no rule of every exchange has a case, and no two cases state the same rule."""
    cases: list[Any] = list(listed_cases("aws_kms"))
    covered = {row for case in cases for row in case.covers}
    rows = {row.id for row in AWS.requirements.values() if row.section != "wire"}
    assert rows - covered == set()
    assert [title for title, times in Counter(case.title for case in cases).items() if times > 1] == []


def test_rows_have_known_sections() -> None:
    """A row's section is an anchor of the table, a topic or wire; errata point there or to another document."""
    anchors = {section["anchor"] for section in AWS.about["sections"]} | {"wire"}
    anchors |= {f"api-{topic}" for topic in AWS.about["topics"]}
    assert {row.section for row in AWS.requirements.values()} == anchors
    errata = yaml.safe_load((ROOT / "contracts" / "aws_kms" / "errata.yaml").read_text(encoding="utf-8"))
    assert {row["where"] for row in errata["errata"]} <= anchors | {"other"}
