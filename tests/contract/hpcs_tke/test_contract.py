"""The TKE contract fits its page, its own parts and the reference."""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kms_reference.defects import SYSTEM_DEFECTS
from kms_reference.hpcs_tke import codes

ROOT = Path(__file__).resolve().parents[3]
CONTRACT = ROOT / "contracts" / "hpcs_tke"


@cache
def read(name: str) -> Any:
    """Read a file of the contract."""
    return yaml.safe_load((CONTRACT / name).read_text(encoding="utf-8"))


def catalogue() -> dict[str, Any]:
    """Return the codes by code."""
    return {row["code"]: row for row in read("reason_codes.yaml")["codes"]}


def rows() -> dict[str, Any]:
    """Return the requirement rows by id."""
    return {row["id"]: row for row in read("requirements.yaml")["requirements"]}


@pytest.fixture(scope="module")
def page() -> str:
    """Find the source page by its digest."""
    digest = read("contract.yaml")["sources"][0]["file_sha256"]
    folder = Path(os.environ.get("KMS_SOURCE_PAGES", ROOT.parent / "shared" / "seeds"))
    for path in folder.glob("*") if folder.is_dir() else ():
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return path.read_text(encoding="utf-8")
    pytest.skip("the source page is not here")


def test_numbered_rows_are_complete() -> None:
    """Rows 1 to 14 are there, and at least thirty single guards have a pair."""
    assert {f"tke-{number:02}" for number in range(1, 15)} <= rows().keys()
    assert sum(bool(re.fullmatch(r"\d+(/\d+)?", row.get("code", ""))) for row in rows().values()) >= 30


def test_rows_name_known_things() -> None:
    """Sections, topics and codes of rows exist, each section and topic has a row, and sources are named."""
    about = read("contract.yaml")
    anchors = {section["anchor"] for section in about["sections"]} | {
        f"api-{topic}" for topic in about["topics"]
    }
    anchors.add("wire")
    assert {row["section"] for row in rows().values()} == anchors
    for row in rows().values():
        named = [row.get("code"), *(other.get("code") for other in row.get("accepts", []))]
        assert {code for code in named if code} <= catalogue().keys(), row["id"]
        assert row["evidence"] == "documented" or row["source"], row["id"]
        assert row["level"] != "MUST" or row["evidence"] in {"documented", "observed"}, row["id"]
    for section in about["sections"]:
        assert all(section["anchor"] in catalogue()[code]["sections"] for code in section["codes"])


def test_every_pair_of_the_reference_is_in_the_catalogue() -> None:
    """The reference answers no pair that the catalogue does not hold, and marks what it chose itself."""
    pairs = {value for value in vars(codes).values() if isinstance(value, codes.Pair)}
    for pair in pairs:
        name = str(pair.code) if pair.reason is None else f"{pair.code}/{pair.reason}"
        assert name in catalogue()
        if catalogue()[name]["evidence"] == "unspecified":
            assert pair in codes.CHOSEN, name


def test_explanations_are_there() -> None:
    """Each code has symptom, cause and resolution in the suite's own words."""
    for row in catalogue().values():
        assert all(
            row[name].endswith(".") for name in ("symptom", "provoke", "answer", "cause", "resolution")
        )


def test_defects_break_known_promises() -> None:
    """What a defect breaks is a row, or the short anchor of a section."""
    sections = read("contract.yaml")["sections"]
    promises = rows().keys() | {section["anchor"].removeprefix("error-messages-") for section in sections}
    assert {
        section for defect in SYSTEM_DEFECTS["hpcs_tke"].values() for section in defect.sections
    } <= promises


def test_twelve_errata() -> None:
    """All slips of the page are listed."""
    assert [row["id"] for row in read("errata.yaml")["errata"]] == [f"T{number}" for number in range(1, 13)]


def test_page_and_contract_agree(page: str) -> None:
    """Anchors, texts and the one status are those of the page, and the page has no others."""
    sections = read("contract.yaml")["sections"]
    anchors = re.findall(r"^## \d - .*\n\{: #([\w-]+)\}", page, re.MULTILINE)
    assert anchors == [section["anchor"] for section in sections]
    texts = re.findall(r"-message\}\n\n(.+)\n", page)
    assert texts == [
        " ".join(catalogue()[section["codes"][0]]["messages"][0].split()) for section in sections
    ]
    listed = re.findall(r"^\d\. (.+) - \[details\]", page, re.MULTILINE)
    printed = {message for section in sections for message in catalogue()[section["codes"][0]]["messages"]}
    assert set(listed) <= {" ".join(message.split()) for message in printed}
    assert re.findall(r"^(\d{3}) - ", page, re.MULTILINE) == [
        str(section["status"]) for section in sections if section["status"]
    ]


def test_dead_anchor_is_the_one_we_list(page: str) -> None:
    """The only link that leads nowhere is the one that the errata name."""
    anchors = set(re.findall(r"\{: #([\w-]+)\}", page))
    links = set(re.findall(r"#(error-messages-tke[\w-]*)[\")]", page))
    assert links - anchors == {"error-messages-tke-unauthorized-t-err"}
