"""The contract files and the schemas are well formed and fit together."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
CONTRACTS = sorted(path.parent for path in ROOT.glob("contracts/*/contract.yaml"))
SCHEMA_OF = {
    "contract.yaml": "contract",
    "reason_codes.yaml": "reason-codes",
    "requirements.yaml": "requirements",
    "errata.yaml": "errata",
    "relations.yaml": "relations",
    "ownership.yaml": "ownership",
    "concurrency.yaml": "concurrency",
    "sequences.yaml": "sequences",
    "limits.yaml": "limits",
}
FILES = [folder / name for folder in CONTRACTS for name in SCHEMA_OF if (folder / name).is_file()]
KEY_PROTECT = ROOT / "contracts" / "key_protect"
ROLES = {"Reader", "ReaderPlus", "Writer", "Manager", "KeyPurge", "KmipAdapterManager", "service"}
METHODS = {"get", "put", "post", "delete", "patch", "head"}
UUID = "66ffaf5b-86c8-4a50-8a2a-920ae71f86dc"


@cache
def read(path: Path) -> Any:
    """Return a YAML document; strings that look like dates stay what the file says."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def schema(name: str) -> Any:
    """Return a schema file as JSON."""
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


@cache
def validator(name: str) -> jsonschema_rs.Validator:
    """Return a compiled schema whose references stay inside ``schemas/``."""

    def retrieve(uri: str) -> Any:
        return schema(uri.partition("#")[0].rsplit("/", 1)[-1].removesuffix(".schema.json"))

    return jsonschema_rs.validator_for(schema(name), retriever=retrieve, validate_formats=False)


def complaints(name: str, document: Any) -> list[str]:
    """Return what a document breaks, by place."""
    return [
        f"{list(error.instance_path)}: {error.message}" for error in validator(name).iter_errors(document)
    ]


def short(anchor: str) -> str:
    """Return the id that the main row of a section has."""
    return anchor.removeprefix("error-messages-").removeprefix("error-").replace("_", "-")


def repeated(values: list[str]) -> list[str]:
    """Return what occurs more than once."""
    return [value for value, times in Counter(values).items() if times > 1]


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.schema.json")), ids=lambda path: path.name)
def test_schema_is_a_schema(path: Path) -> None:
    """Each schema fits the metaschema, is named after its file and compiles with all its references."""
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == f"https://kms-conformance.invalid/schemas/{path.name}"
    validator(path.name.removesuffix(".schema.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_file_fits_its_schema(path: Path) -> None:
    """Each contract file is what its schema says."""
    assert complaints(SCHEMA_OF[path.name], read(path)) == []


@pytest.mark.parametrize("folder", CONTRACTS, ids=lambda folder: folder.name)
def test_ids_are_unique(folder: Path) -> None:
    """Rows, codes, errata and anchors are each named once."""
    about = read(folder / "contract.yaml")
    assert about["id"] == folder.name
    assert repeated([section["anchor"] for section in about["sections"]]) == []
    assert repeated([row["id"] for row in read(folder / "requirements.yaml")["requirements"]]) == []
    if (folder / "reason_codes.yaml").is_file():
        assert repeated([row["code"] for row in read(folder / "reason_codes.yaml")["codes"]]) == []
    if (folder / "errata.yaml").is_file():
        assert repeated([row["id"] for row in read(folder / "errata.yaml")["errata"]]) == []


@pytest.fixture(scope="module")
def about() -> Any:
    """Return the contract file of Key Protect."""
    return read(KEY_PROTECT / "contract.yaml")


@pytest.fixture(scope="module")
def codes() -> dict[str, Any]:
    """Return the reason codes of Key Protect by code."""
    return {row["code"]: row for row in read(KEY_PROTECT / "reason_codes.yaml")["codes"]}


@pytest.fixture(scope="module")
def rows() -> list[Any]:
    """Return the requirement rows of Key Protect."""
    return list(read(KEY_PROTECT / "requirements.yaml")["requirements"])


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """Return the operations of Key Protect by operation id."""
    paths = read(KEY_PROTECT / "openapi.yaml")["paths"]
    return {
        body["operationId"]: body
        for item in paths.values()
        for method, body in item.items()
        if method in METHODS
    }


def test_every_row_has_a_section(about: Any, rows: list[Any]) -> None:
    """A row's section is an anchor of the page, a topic of the contract, or wire."""
    anchors = {section["anchor"] for section in about["sections"]}
    anchors |= {f"api-{topic}" for topic in about["topics"]} | {"wire"}
    assert {row["section"] for row in rows} == anchors


def test_every_section_has_its_main_row(about: Any, rows: list[Any]) -> None:
    """Each section of the page has a row named after its anchor, documented and with one of the section's codes."""
    by_id = {row["id"]: row for row in rows}
    for section in about["sections"]:
        row = by_id[short(section["anchor"])]
        assert row["section"] == section["anchor"]
        assert row["evidence"] == "documented"
        assert row["code"] in section["codes"]


def test_every_code_of_a_row_is_known(codes: dict[str, Any], rows: list[Any]) -> None:
    """Rows, their alternatives and editions name codes of the catalogue, with a status that the code may have."""
    for row in rows:
        assert row.get("code") is None or row["code"] in codes, row["id"]
        for other in [*row.get("accepts", []), *row.get("editions", {}).values()]:
            assert other.get("code") is None or other["code"] in codes, row["id"]


def test_rows_do_not_promise_more_than_their_evidence(rows: list[Any]) -> None:
    """No MUST rests on a report or on inference, and what the page does not hold names its source."""
    assert [
        row["id"] for row in rows if row["level"] == "MUST" and row["evidence"] in {"reported", "unspecified"}
    ] == []
    assert [row["id"] for row in rows if row["evidence"] != "documented" and "source" not in row] == []


def test_sections_and_codes_name_each_other(about: Any, codes: dict[str, Any]) -> None:
    """A documented code lists exactly the sections that list it, and comes with their status."""
    by_code: dict[str, list[Any]] = {}
    for section in about["sections"]:
        for code in section["codes"]:
            by_code.setdefault(code, []).append(section)
    documented = {code: row for code, row in codes.items() if row["documented"]}
    assert len(documented) == 35
    assert set(by_code) == set(documented)
    for code, row in documented.items():
        assert sorted(row["sections"]) == sorted(section["anchor"] for section in by_code[code])
        assert row["status"] == sorted({section["status"] for section in by_code[code]})
        assert row["messages"]
        assert row["evidence"] == "documented"
    for code, row in codes.items():
        assert row["documented"] or not row["sections"], code


def test_errata_point_to_sections(about: Any) -> None:
    """Each erratum is about a section, the whole page, its translation or another source."""
    anchors = {section["anchor"] for section in about["sections"]} | {"page", "translation", "other"}
    for row in read(KEY_PROTECT / "errata.yaml")["errata"]:
        places = row["where"] if isinstance(row["where"], list) else [row["where"]]
        assert set(places) <= anchors, row["id"]


def test_no_member_is_both_secret_and_public(about: Any) -> None:
    """What may be shown and what may not are two lists."""
    assert set(about["secrets"]).isdisjoint(about["public"])
    assert all(name == name.lower() for name in about["public_headers"])


def test_operations_are_complete(operations: dict[str, Any]) -> None:
    """All 51 operations are there, each with roles, the instance header, a success and the error envelope."""
    assert len(operations) == 51
    for name, body in operations.items():
        assert set(body["x-roles"]) <= ROLES, name
        assert {"$ref": "#/components/parameters/Instance"} in body["parameters"], name
        assert any(status.startswith("2") for status in body["responses"]), name
        assert {"400", "401", "403", "404", "409", "500"} <= set(body["responses"]), name


def test_openapi_references_resolve() -> None:
    """Every reference of the OpenAPI document leads somewhere, every link to an operation."""
    document = read(KEY_PROTECT / "openapi.yaml")
    names = {body["operationId"] for item in document["paths"].values() for body in item.values()}

    def walk(node: Any) -> None:
        match node:
            case {"$ref": str(target)} if target.startswith("#/"):
                place = document
                for part in target[2:].split("/"):
                    place = place[part]
            case {"$ref": str(target)}:
                assert (KEY_PROTECT / target).is_file(), target
            case dict():
                for value in node.values():
                    walk(value)
            case list():
                for value in node:
                    walk(value)

    walk(document)
    assert {link["operationId"] for link in document["components"]["links"].values()} <= names


def test_openapi_loads_in_schemathesis() -> None:
    """The fuzzer reads the document and finds every operation and the links between them."""
    import schemathesis  # noqa: PLC0415 - half a second that the other tests need not pay
    from schemathesis.core.result import Ok  # noqa: PLC0415 - same

    loaded = schemathesis.openapi.from_path(KEY_PROTECT / "openapi.yaml")
    assert sum(isinstance(result, Ok) for result in loaded.get_all_operations()) == 51
    loaded.as_state_machine()


def envelope(**reason: Any) -> dict[str, Any]:
    """Return an error envelope around one reason."""
    return {
        "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
        "resources": [
            {
                "errorMsg": "Gone: Key could not be deleted.",
                "reasons": [{"code": "A_B", "message": "m"} | reason],
            }
        ],
    }


@pytest.mark.parametrize(
    ("reason", "fits"),
    [
        ({}, True),
        (
            {
                "status": 410,
                "moreInfo": "https://example.test/",
                "target": {"type": "field", "name": "payload"},
            },
            True,
        ),
        ({"code": " A_B"}, False),
        ({"code": "a_b"}, False),
        ({"message": ""}, False),
        ({"status": "410"}, False),
        ({"status": 200}, False),
        ({"target": {"type": "header", "name": "x"}}, False),
    ],
)
def test_error_envelope_with_reasons(reason: dict[str, Any], fits: bool) -> None:
    """The envelope takes a well-formed reason and no other."""
    assert validator("error-envelope").is_valid(envelope(**reason)) is fits


def test_error_envelope_without_reasons() -> None:
    """An errorMsg alone is an envelope; empty reasons, no errorMsg, another total or another type are not."""
    bare = envelope()
    del bare["resources"][0]["reasons"]
    assert validator("error-envelope").is_valid(bare)
    for broken in (
        bare | {"resources": [{"errorMsg": "x", "reasons": []}]},
        bare | {"resources": [{}]},
        bare | {"resources": []},
        bare | {"metadata": bare["metadata"] | {"collectionTotal": 2}},
        bare | {"metadata": bare["metadata"] | {"collectionType": "application/vnd.ibm.kms.key+json"}},
        {"resources": bare["resources"]},
    ):
        assert not validator("error-envelope").is_valid(broken)


def key(**members: Any) -> dict[str, Any]:
    """Return a key as replies show it."""
    return {
        "type": "application/vnd.ibm.kms.key+json",
        "id": UUID,
        "name": "a key",
        "state": 1,
        "extractable": False,
        "crn": f"crn:v1:bluemix:public:kms:us-south:a/ea998d3389c3473aa0987652b46fb146:{UUID}:key:{UUID}",
        "imported": False,
        "deleted": False,
    } | members


def test_root_key_has_no_payload() -> None:
    """Only a standard key may show a payload, and metadata and lists show none at all."""
    assert validator("key").is_valid(key())
    assert validator("key").is_valid(key(extractable=True, payload="AAAA"))
    assert validator("key").is_valid(key(extractable=True, payload="<payload:0123456789ab>"))
    assert not validator("key").is_valid(key(payload="AAAA"))
    total = {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 1}
    for name, fits in (
        ("key-full", True),
        ("key-collection", True),
        ("key-metadata", False),
        ("key-list", False),
    ):
        shown = {"metadata": total, "resources": [key(extractable=True, payload="AAAA")]}
        assert validator(name).is_valid(shown) is fits, name
        assert not validator(name).is_valid({"metadata": total, "resources": [key(payload="AAAA")]}), name


def test_list_may_leave_resources_out() -> None:
    """An empty list needs no resources; a single key does."""
    empty = {"metadata": {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 0}}
    assert validator("key-list").is_valid(empty)
    assert not validator("key-full").is_valid(empty)


@pytest.mark.parametrize(
    "broken", [{"state": 4}, {"id": "x"}, {"crn": "crn:v1:bluemic"}, {"expirationDate": "tomorrow"}]
)
def test_key_members_are_checked(broken: dict[str, Any]) -> None:
    """State, id, CRN and dates have their forms; members nobody knows are allowed."""
    assert validator("key").is_valid(key(newMember=1))
    assert not validator("key").is_valid(key(**broken))


def test_nonce_and_vector_come_together() -> None:
    """A create-key request names both of encryptedNonce and iv, or neither."""
    new = {"type": "application/vnd.ibm.kms.key+json", "name": "ab", "extractable": False, "payload": "AAAA"}
    total = {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 1}
    ask = validator("key-create-request")
    assert ask.is_valid({"metadata": total, "resources": [new]})
    assert ask.is_valid({"metadata": total, "resources": [new | {"encryptedNonce": "AAAA", "iv": "AAAA"}]})
    assert not ask.is_valid({"metadata": total, "resources": [new | {"encryptedNonce": "AAAA"}]})


def test_rewrap_reveals_no_plaintext() -> None:
    """A rewrap result with a plaintext is none."""
    assert validator("rewrap-result").is_valid({"ciphertext": "AAAA"})
    assert not validator("rewrap-result").is_valid({"ciphertext": "AAAA", "plaintext": "AAAA"})
