"""A table of products by sections, one static page: what a certification body publishes. Pure but for reading templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict, worst
from kms_conformance.outputs.pages import page

_ORDER = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A product of the table: the statement's own part, the SHA-256 of its bundle, and its ``results.json``."""

    own: Mapping[str, Any]
    key: str
    record: Mapping[str, Any]


def render(listed: Sequence[Listed], made: str) -> str:
    """Return the page; ``made`` is the day on which it was made."""
    contracts = list(dict.fromkeys(block["id"] for one in listed for block in one.record["contracts"]))
    return page(
        "table.html.j2",
        products=[_product(one) for one in listed],
        contracts=[(contract, _titled(contract), _rows(contract, listed)) for contract in contracts],
        made=made,
    )


def _product(one: Listed) -> dict[str, Any]:
    own, record = one.own, one.record
    return {
        **own["product"]["product"],
        "verdict": record["verdict"],
        "attestation": own["attestation"].partition(":")[0],
        "issued": own["issued"][:10],
        "expires": own["expires"][:10],
        "edition": record["edition"],
        "suite": record["suite"]["version"],
        "key": one.key[:16],
        "counts": {name: number for name, number in record["counts"].items() if number},
    }


def _titled(contract: str) -> str:
    return load_contract(contract).title


def _rows(contract: str, listed: Sequence[Listed]) -> list[tuple[str, str, list[dict[str, Any] | None]]]:
    """Return each section as title, address and a cell for each product, ``None`` where it was not judged by the contract."""
    titles = {row.section: row.section_title for row in load_contract(contract).rows()}
    links = {
        row["section"]: row["link"]
        for one in listed
        for row in one.record["requirements"]
        if row["contract"] == contract
    }
    return [
        (titles.get(anchor) or anchor, link, [_cell(contract, anchor, one) for one in listed])
        for anchor, link in links.items()
    ]


def _cell(contract: str, anchor: str, one: Listed) -> dict[str, Any] | None:
    rows = [
        row
        for row in one.record["requirements"]
        if (row["contract"], row["section"]) == (contract, anchor) and not row["excluded"]
    ]
    if not rows:
        return None
    counts = Counter(Verdict(row["verdict"]) for row in rows)
    applicable = [verdict for verdict in counts if verdict is not Verdict.NOT_APPLICABLE]
    counted = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in _ORDER if counts[verdict])
    good = counts[Verdict.PASSED] + counts[Verdict.WARNED]
    return {
        "verdict": worst(applicable or list(counts)).value,
        "counted": counted,
        "short": f"{good} of {len(rows) - counts[Verdict.NOT_APPLICABLE]}",
    }
