"""Shapes that clients of the vendor show: what schemas and parameters take, and what they must not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.schemas import SCHEMA_FILES

OPENAPI = yaml.safe_load(
    (Path(__file__).parents[2] / "contracts" / "key_protect" / "openapi.yaml").read_text(encoding="utf-8")
)
CRN = "crn:v1:bluemix:public:cloud-object-storage:global:a/ea998d3389c3473aa0987652b46fb146:66ffaf5b-86c8-4a50-8a2a-920ae71f86dc:bucket:mine"
KINDS = {
    "key-rings": ("key_ring", "key_ring_v2"),
    "key-versions": ("key.version", "key"),
    "registrations": ("registration", "registrations"),
}
FOREIGN = ("error", "alias", "policy", "import_token", "kmip_adapter", "allowed_ip_metadata")


def listed(kind: str) -> dict[str, Any]:
    """Return an empty list of a kind."""
    return {"metadata": {"collectionType": f"application/vnd.ibm.kms.{kind}+json", "collectionTotal": 0}}


@pytest.mark.parametrize("crn", [CRN, CRN.replace("/", "%2F")])
def test_real_crns(crn: str) -> None:
    """A CRN has a slash in it, whether it is decoded or not; what is none is refused."""
    pattern = OPENAPI["components"]["parameters"]["ResourceCrn"]["schema"]["pattern"]
    assert re.search(pattern, crn)
    assert not re.search(pattern, "crn:v2:bluemix")


@pytest.mark.parametrize("schema", KINDS)
def test_lists_of_their_own_kind(schema: str) -> None:
    """A list may spell its kind in several ways, and is no list of other things."""
    for kind in KINDS[schema]:
        assert SCHEMA_FILES.complaint(schema, listed(kind)) is None, kind
    for kind in (*FOREIGN, *(own[0] for name, own in KINDS.items() if name != schema)):
        assert SCHEMA_FILES.complaint(schema, listed(kind)) is not None, kind


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"ciphertext": "AAAA"}, True),
        ({"plaintext": "AAAA", "keyVersion": {"id": "66ffaf5b-86c8-4a50-8a2a-920ae71f86dc"}}, True),
        ({}, False),
        ({"plaintext": "AAAA"}, False),
        ([], False),
    ],
)
def test_older_form_of_actions(body: Any, fits: bool) -> None:
    """The 200 of an action in its older form is judged: it is the result of wrap, unwrap or rewrap."""
    assert load_contract("key_protect").operations["actionOnKey"].schemas[200] == "key-action-result"
    assert (SCHEMA_FILES.complaint("key-action-result", body) is None) is fits
