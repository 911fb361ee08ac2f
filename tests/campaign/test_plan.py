"""The plan: shards as measured, rates shared out, lanes that keep what an endpoint allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kms_conformance.campaign.conduct import settled_plan
from kms_conformance.campaign.description import read_campaign
from kms_conformance.campaign.durations import measured
from kms_conformance.campaign.errors import CampaignResultsError
from kms_conformance.campaign.plan import lanes, make_plan, plan_of, runs_of
from kms_conformance.campaign.store import FolderStore
from kms_conformance.contract.case_index import listed_cases
from kms_conformance.outputs.shards import in_shard

Write = Callable[..., Path]


def earlier_run(folder: Path, url: str, seconds: float) -> dict[str, float]:
    """Write the results of an earlier run in which each case of iks took so long."""
    cases = [case.id for case in listed_cases("iks")]
    folder.mkdir(parents=True)
    record = {
        "target": {"base_url": url},
        "cases": [{"id": case, "duration_s": seconds + 5, "waited_s": 5} for case in cases],
    }
    (folder / "results.json").write_text(json.dumps(record))
    return dict.fromkeys(cases, seconds)


def test_shards_are_cut_as_measured(campaign_file: Write, tmp_path: Path) -> None:
    """An endpoint whose cases take longer gets more shards; waiting is no work."""
    known = earlier_run(tmp_path / "last/a", "https://one.example.test", 2.0)
    earlier_run(tmp_path / "last/b", "https://two.example.test", 0.5)
    campaign = read_campaign(campaign_file('contracts = ["iks"]\nshard_seconds = 20\nearlier = ["last"]'))
    plan = make_plan(campaign, measured(campaign.earlier))
    number = {name: len(tasks) for name, tasks in runs_of(plan.tasks).items()}
    assert number["one/seed-1"] == -(-2 * len(known) // 20)
    assert number["two/seed-1"] == -(-len(known) // 2 // 20)
    assert plan.durations["one"] == known


def test_shards_by_durations_are_balanced() -> None:
    """The longest case shares its shard with few; together the shards are the whole, and each case is in one."""
    ids = [f"case-{number:02}" for number in range(20)]
    durations = {ids[0]: 10.0, **dict.fromkeys(ids[1:], 1.0)}
    parts = [in_shard(ids, f"{part}/3", durations) for part in (1, 2, 3)]
    assert sorted(case for part in parts for case in part) == ids
    loads = [sum(durations[case] for case in part) for part in parts]
    assert max(loads) - min(loads) <= 1.0
    assert in_shard(ids, "2/3", dict(reversed(durations.items()))) == parts[1]


def test_rates_are_shared_out(campaign_file: Write) -> None:
    """All shards that may be under way at once keep the endpoint's rate together."""
    plan = make_plan(read_campaign(campaign_file("seeds = [1, 2, 3]")), {})
    task = plan.tasks[0]
    given = float(task.arguments[task.arguments.index("--requests-per-second") + 1])
    assert given * task.at_once == pytest.approx(20.0)
    assert len(plan.tasks) == 2 * 3 * 4


def test_lanes_keep_what_an_endpoint_allows(campaign_file: Write) -> None:
    """Each shard is in one lane, and an endpoint has as many lanes as shards may be under way."""
    plan = make_plan(read_campaign(campaign_file("seeds = [1, 2, 3]")), {})
    own = lanes(plan.tasks)
    assert sorted(task.id for lane in own for task in lane) == sorted(task.id for task in plan.tasks)
    assert len(own) == 8
    assert all(len({task.endpoint for task in lane}) == 1 for lane in own)


def test_groups_are_runs_of_their_own(campaign_file: Write) -> None:
    """A group of cases is a run by -k, beside those of other groups."""
    plan = make_plan(read_campaign(campaign_file('[groups]\nlaws = "laws"\nwrap = "wrap or unwrap"')), {})
    assert set(runs_of(plan.tasks)) == {
        f"{one}/seed-1/{two}" for one in ("one", "two") for two in ("laws", "wrap")
    }
    assert ("-k", "laws") == plan.tasks[0].arguments[-4:-2]


def test_the_plan_outlives_its_maker(campaign_file: Write, tmp_path: Path) -> None:
    """A second start takes the plan that is there; another campaign is refused the same place."""
    store = FolderStore(tmp_path / "results")
    campaign = read_campaign(campaign_file())
    first = settled_plan(campaign, store)
    assert settled_plan(campaign, store).tasks == first.tasks
    assert plan_of(first.document()).tasks == first.tasks
    with pytest.raises(CampaignResultsError):
        settled_plan(read_campaign(campaign_file("seeds = [7]")), store)


def test_earlier_runs_that_are_none(tmp_path: Path) -> None:
    """A folder without a run, and a file that is no run's, end in a sentence."""
    with pytest.raises(CampaignResultsError):
        measured([tmp_path])
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(CampaignResultsError):
        measured([tmp_path])
