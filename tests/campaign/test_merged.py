"""The merged campaign: verdicts as of single runs, a finding told once, what is missing, and a page without foreign markup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from campaign_shards import CASES, leave_shard

from kms_conformance.campaign.conduct import conclude, lines_of
from kms_conformance.campaign.errors import CampaignResultsError
from kms_conformance.campaign.merged import CampaignResult
from kms_conformance.campaign.plan import Plan, Task
from kms_conformance.campaign.store import PLAN
from kms_conformance.contract.schemas import SCHEMA_FILES

MARKUP = "<script>alert(1)</script>"


def results(folder: Path, runs: dict[str, Any]) -> CampaignResult:
    """Merge two shards of each run: ``None`` has only the first, ``"dead"`` none, else the case that fails."""
    tasks = []
    for run, failed in runs.items():
        for part in (1, 2):
            name = f"{run}/{part}-of-2"
            tasks.append(
                Task(name, run, run.partition("/")[0], 2, f"{part}/2", "t", (), durations=False, timeout=1)
            )
            place = folder / "shards" / name
            if failed == "dead":
                place.mkdir(parents=True)
                outcome = {"task": name, "state": "failed", "code": 4, "message": "error: nobody answers"}
                (place / "task.json").write_text(json.dumps(outcome))
            elif failed is not None or part == 1:
                leave_shard(place, f"{part}/2", failed=failed or "", got=MARKUP)
    (folder / PLAN).write_text(json.dumps(Plan("night", "d", tuple(tasks), {}).document()))
    return conclude(str(folder), folder / "merged")


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the results; their merge is below it."""
    return tmp_path_factory.mktemp("campaign")


@pytest.fixture(name="merged", scope="module")
def merged_fixture(folder: Path) -> CampaignResult:
    """Return a campaign of a sound, two broken, one half and one dead endpoint."""
    return results(
        folder,
        {
            "good/seed-1": "",
            "bad/seed-1": "",
            "bad/seed-2": CASES[3],
            "worse/seed-1": CASES[3],
            "half/seed-1": None,
            "dead/seed-1": "dead",
        },
    )


def test_verdicts(merged: CampaignResult, folder: Path) -> None:
    """An endpoint has the worst verdict of its runs; what is not there is not verified, and says why."""
    found = {endpoint.name: (endpoint.verdict, endpoint.exit_code) for endpoint in merged.endpoints}
    assert found["bad"] == found["worse"] == ("non-conformant", 1)
    assert found["half"] == ("not-verified", 3)
    assert found["dead"] == ("not-verified", 4)
    assert [run.verdict for run in merged.endpoints[1].runs] == [
        merged.endpoints[0].verdict,
        "non-conformant",
    ]
    assert merged.exit_code == 1
    lines = "\n".join(lines_of(merged, folder))
    assert "half/seed-1: shard 2/2 has not been run" in lines
    assert "nobody answers" in lines


def test_a_finding_is_told_once(merged: CampaignResult, folder: Path) -> None:
    """One cause at two endpoints is one finding, with the evidence of each."""
    (finding,) = merged.findings
    assert list(finding.endpoints) == ["bad", "worse"]
    place, _, anchor = finding.endpoints["worse"].partition("#")
    assert f'id="{anchor}"' in (folder / "merged" / place).read_text()


def test_page(merged: CampaignResult, folder: Path) -> None:
    """The page holds no script and no markup of a server, and each of its addresses is there."""
    page = (folder / "merged" / "campaign.html").read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 1
    cells = [cell.href for line in merged.sections for cell in line.cells.values()]
    assert len(cells) > 4
    reports = {
        place: (folder / "merged" / place).read_text() for place in {href.partition("#")[0] for href in cells}
    }
    assert all(f'id="{href.partition("#")[2]}"' in reports[href.partition("#")[0]] for href in cells)
    assert all(f'href="{href}"' in page for href in cells)


def test_document_has_a_schema(merged: CampaignResult) -> None:
    """campaign-results.json is as its schema says."""
    document = json.loads(json.dumps(merged.document()))
    assert SCHEMA_FILES.complaint("campaign-results", document) is None
    del document["findings"]
    assert SCHEMA_FILES.complaint("campaign-results", document) is not None


def test_merging_in_processes(merged: CampaignResult, folder: Path) -> None:
    """Runs that are merged in processes of their own make the same result."""
    assert conclude(str(folder), folder / "again", 2) == merged


def test_no_campaign(tmp_path: Path) -> None:
    """A folder without a plan is no campaign."""
    with pytest.raises(CampaignResultsError):
        conclude(str(tmp_path), tmp_path / "merged")
