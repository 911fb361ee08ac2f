"""The table of products: a column each, a row for each section, nothing hidden of what was not judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from kms_conformance.cli.table import command
from kms_conformance.contract.contract import load_contract
from kms_conformance.outputs.table import Listed, render


def listed(name: str, contract: str, verdict: str) -> Listed:
    """Return a product of which every row of a contract has a verdict."""
    rows = [
        {
            "id": row.id,
            "contract": contract,
            "section": row.section,
            "excluded": row.excluded,
            "verdict": verdict,
            "link": row.link,
        }
        for row in load_contract(contract).rows()
    ]
    record: dict[str, Any] = {
        "contracts": [{"id": contract}],
        "requirements": rows,
        "verdict": "conformant",
        "edition": "page",
        "suite": {"version": "0.1.0"},
        "counts": {"passed": 3, "failed": 0},
    }
    about = dict.fromkeys(("vendor", "version", "contact"), "x") | {
        "name": name,
        "url": "https://kms.example.test",
    }
    own = {
        "product": {"product": about},
        "attestation": "Witnessed: by somebody.",
        "issued": "2026-11-29T00:00:00.000Z",
        "expires": "2027-11-29T00:00:00.000Z",
    }
    return Listed(own, "ab" * 32, record)


def test_products_by_sections() -> None:
    """Each product is a column; a section that a product was not judged by says so."""
    page = render([listed("<Alpha>", "iks", "passed"), listed("Beta", "iks", "failed")], "2026-11-29")
    assert "<Alpha>" not in page
    assert page.count("&lt;Alpha&gt;") == 2
    sections = {row.section for row in load_contract("iks").rows() if not row.excluded}
    assert page.count('<td><span class="badge passed">') >= len(sections)
    assert page.count('<td><span class="badge failed">') == len(sections)
    assert "Witnessed" in page
    assert "not judged" not in page


def test_other_contracts() -> None:
    """Products of different contracts share the page, and what was not judged says so."""
    page = render([listed("Alpha", "iks", "passed"), listed("Beta", "hpcs_tke", "passed")], "2026-11-29")
    assert page.count("not judged") > 2


def test_refused_bundles_are_not_shown(tmp_path: Path) -> None:
    """What is no bundle is told on standard error, is not in the page, and makes the exit code 6."""
    (tmp_path / "bundle.zip").write_bytes(b"no bundle")
    output = tmp_path / "table.html"
    ended = CliRunner().invoke(command, [str(tmp_path), "--output", str(output)])
    assert ended.exit_code == 6
    assert "not shown: " in ended.stderr
    assert "0 products" in output.read_text()
