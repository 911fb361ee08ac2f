"""A campaign from its file to the merged results: plan, workers, what is done already, and the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kms_conformance.campaign import matrix_page
from kms_conformance.campaign.description import Campaign
from kms_conformance.campaign.dispatch import Dispatch, Workers
from kms_conformance.campaign.durations import measured
from kms_conformance.campaign.errors import CampaignResultsError
from kms_conformance.campaign.local import LocalWorkers
from kms_conformance.campaign.merged import CampaignResult, merge_campaign
from kms_conformance.campaign.plan import Plan, Task, lanes, make_plan, plan_of, with_timeout
from kms_conformance.campaign.store import PLAN, Store, durations_name, open_store, read_json, stored_outcomes
from kms_conformance.campaign.work import State
from kms_conformance.errors import BadValueError


def settled_plan(campaign: Campaign, store: Store) -> Plan:
    """Return the plan that the results have already, or make one and write it there.

    Raises :class:`CampaignResultsError` where the results are another campaign's: they would be mixed.
    """
    found = stored_plan(store)
    if found is not None:
        if found.digest != campaign.digest:
            why = "they are those of another campaign, or of another edition of its file"
            raise CampaignResultsError(store.place, why, "give this one a place of its own: --results PLACE.")
        return replace(found, tasks=with_timeout(found.tasks, campaign.timeout))
    plan = make_plan(campaign, measured(campaign.earlier))
    for endpoint, seconds in plan.durations.items():
        store.write(durations_name(endpoint), json.dumps(seconds) + "\n")
    store.write(PLAN, json.dumps(plan.document(), indent=1) + "\n")  # last: what is planned can be run
    return plan


def stored_plan(store: Store) -> Plan | None:
    """Return the plan of a campaign that has begun; ``None`` where there is none."""
    document = read_json(store, PLAN)
    if document is None:
        return None
    try:
        return plan_of(document)
    except (KeyError, TypeError, ValueError):
        why = f"its {PLAN} is not what this version of the suite writes"
        raise CampaignResultsError(store.place, why) from None


def _demand_plan(store: Store) -> Plan:
    plan = stored_plan(store)
    if plan is None:
        raise CampaignResultsError(
            store.place, f"there is no {PLAN} in it", "give the results of a campaign."
        )
    return plan


def remaining(plan: Plan, store: Store) -> list[Task]:
    """Return the tasks that are not complete, those that nobody has tried first."""
    outcomes = stored_outcomes(store, [task.id for task in plan.tasks])
    open_ = [task for task in plan.tasks if outcomes.get(task.id, {}).get("state") != State.COMPLETE]
    return sorted(open_, key=lambda task: task.id in outcomes)


def conduct(
    campaign: Campaign,
    workers: AbstractContextManager[Workers],
    says: Callable[[str], None],
) -> Dispatch:
    """Run what is left of a campaign. Raises what :class:`~kms_conformance.campaign.dispatch.Dispatch` raises."""
    store = open_store(campaign.results)
    plan = settled_plan(campaign, store)
    tasks = remaining(plan, store)
    says(f"{len(plan.tasks)} shards, {len(plan.tasks) - len(tasks)} done already; results: {store.place}")
    with workers as own:
        dispatch = Dispatch(own, campaign.attempts, says)
        dispatch.run(tasks, len(plan.tasks) - len(tasks))
    return dispatch


def run_lane(place: str, lane: int, state: str, attempts: int, says: Callable[[str], None]) -> bool:
    """Run the shards of a lane one after the other; tell whether each has a complete report.

    Raises :class:`CampaignResultsError` where there is no plan, :class:`BadValueError` where it has no such lane.
    """
    store = open_store(place)
    plan = _demand_plan(store)
    all_lanes = lanes(plan.tasks)
    if lane >= len(all_lanes):
        raise BadValueError(
            "LANE", str(lane), f"the plan has {len(all_lanes)} lanes, from 0", "write the job file again."
        )
    tasks = remaining(replace(plan, tasks=tuple(all_lanes[lane])), store)
    with LocalWorkers(1, place, state) as workers:
        dispatch = Dispatch(workers, attempts, says)
        dispatch.run(tasks)
    return all(outcome.state is State.COMPLETE for outcome in dispatch.outcomes.values())


def conclude(place: str, report_dir: Path, processes: int = 1) -> CampaignResult:
    """Merge what the results have, so many runs at once, and write reports and page. Raises :class:`CampaignResultsError` where no campaign is."""
    store = open_store(place)
    plan = _demand_plan(store)
    result = merge_campaign(plan, place, report_dir, processes)
    matrix_page.write(result, report_dir, f"{datetime.now(UTC):%Y-%m-%d}")
    return result


def lines_of(result: CampaignResult, report_dir: Path) -> Sequence[str]:
    """Return the end of a campaign in lines: each endpoint's verdict, then where the page is."""
    width = max(len(endpoint.name) for endpoint in result.endpoints)
    lines: list[Any] = []
    for endpoint in result.endpoints:
        lines.append(f"{endpoint.name.ljust(width)}  {endpoint.verdict.upper()}")
        lines += [f"  {run.name}: {why}" for run in endpoint.runs for why in run.missing]
    shared = sum(len(finding.endpoints) > 1 for finding in result.findings)
    lines.append(f"causes of failures: {len(result.findings)}, at more than one endpoint: {shared}")
    return [*lines, f"page: {(report_dir / matrix_page.NAME).resolve().as_uri()}"]
