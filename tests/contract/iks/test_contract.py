"""The IKS contract fits its page, its own parts and the reference."""

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
from kms_reference.iks.messages import Message

ROOT = Path(__file__).resolve().parents[3]
CONTRACT = ROOT / "contracts" / "iks"
FILLED = {
    "<ID>": "kube-1",
    "<provider>": "classic",
    "<message>": "Provided API key could not be found.",
    "<group>": "default",
}


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


def documented() -> list[Any]:
    """Return the ten messages in the page's order."""
    return sorted(
        (row for row in catalogue().values() if row["documented"]), key=lambda row: row["message_number"]
    )


def matching(text: str) -> list[str]:
    """Return the codes whose patterns take a text."""
    return [
        row["code"]
        for row in documented()
        if any(re.fullmatch(pattern, text.strip()) for pattern in row["patterns"])
    ]


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
    """Rows 1 to 16 are there, and the ten messages."""
    assert {f"iks-{number:02}" for number in range(1, 17)} <= rows().keys()
    assert [row["message_number"] for row in documented()] == list(range(1, 11))


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
        assert section["codes"] == [
            row["code"] for row in documented() if row["sections"] == [section["anchor"]]
        ]


def test_statuses_are_not_judged() -> None:
    """No status of the ten messages counts: the page gives none."""
    assert all(row["status_judged"] is False for row in documented())


@pytest.mark.parametrize("number", range(1, 11))
def test_spellings(number: int) -> None:
    """Each text matches its own message only: as printed, wrapped, with other apostrophes, without its period."""
    row = documented()[number - 1]
    for text in row["messages"]:
        printed = text
        for placeholder, value in FILLED.items():
            printed = printed.replace(placeholder, value)
        for spelled in (
            printed,
            printed.replace(" ", "\n  "),
            printed.replace("'", "\u2019"),
            printed.removesuffix("."),
        ):
            assert matching(spelled) == [row["code"]]
    assert matching("x" + row["messages"][0]) == []


def test_placeholders_are_read() -> None:
    """Patterns hand out what stands in the place of a placeholder."""
    match = re.fullmatch(
        catalogue()["WORKER_INSTANCE_NOT_FOUND"]["patterns"][0],
        "The worker node instance 'w1' can't be found. Review 'classic' infrastructure user permissions.",
    )
    assert match is not None
    assert match.groupdict() == {"id": "w1", "provider": "classic"}


@pytest.mark.parametrize("message", list(Message), ids=lambda message: message.name)
def test_reference_texts_match(message: Message) -> None:
    """What the reference sends is an accepted spelling of one message."""
    assert len(matching(message.value.format(id="w", provider="p", message="m"))) == 1


def test_explanations_are_there() -> None:
    """Each message has symptom, cause and resolution in the suite's own words."""
    for row in documented():
        assert all(
            row[name].endswith(".") for name in ("symptom", "provoke", "answer", "cause", "resolution")
        )


def test_defects_break_known_promises() -> None:
    """What a defect breaks is a row."""
    named = {section for defect in SYSTEM_DEFECTS["iks"].values() for section in defect.sections}
    assert named <= rows().keys()


def test_errata() -> None:
    """All slips of the page, and where the service differs from it, are listed."""
    assert [row["id"] for row in read("errata.yaml")["errata"]] == [f"K{number}" for number in range(1, 19)]


def test_page_and_contract_agree(page: str) -> None:
    """Every message that the page shows is one of the ten, and each of the ten is on the page."""
    blocks = re.findall(r"```sh\n(.+?)\n\s*```\n\s*\{: screen\}", page, re.DOTALL)
    shown = set()
    for block in blocks:
        whole = matching(block)
        shown.update(whole or [code for line in block.splitlines() for code in matching(line)])
    assert shown == {row["code"] for row in documented()}
    assert re.findall(r"\(([A-Z]\d{4})\)", page) == ["E0051"]
    anchors = set(re.findall(r"\{: #([\w-]+)\}", page))
    assert anchors == {section["anchor"] for section in read("contract.yaml")["sections"]}


def test_dead_anchor_is_the_one_we_list(page: str) -> None:
    """The only link within the page that leads nowhere is the one that the errata name."""
    anchors = set(re.findall(r"\{: #([\w-]+)\}", page))
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) - anchors == {"orphaned"}
