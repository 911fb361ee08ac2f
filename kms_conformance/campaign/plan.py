"""A campaign cut into tasks: each is one shard of one run against one endpoint, and one plain command. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import chain
from typing import Any

from kms_conformance.campaign.description import Campaign, Endpoint
from kms_conformance.campaign.durations import of_endpoint
from kms_conformance.contract.case_index import listed_cases

MOST_SHARDS = 200
_START = 5.0
"""Seconds that a shard needs to start and to write its reports: cutting finer than this makes nothing faster."""


@dataclass(frozen=True, slots=True)
class Task:
    """One shard.

    ``run`` is the run that it belongs to (endpoint, seed and group, with slashes), ``id`` the run and the shard; ``target``
    a path or a document without secrets; ``arguments`` are those of ``run`` that do not depend on the place where it runs;
    ``durations`` tells whether it is cut by the durations that the results keep for the endpoint; ``timeout`` in seconds.
    """

    id: str
    run: str
    endpoint: str
    at_once: int
    shard: str
    target: str | Mapping[str, Any]
    arguments: tuple[str, ...]
    durations: bool
    timeout: float

    def document(self) -> dict[str, Any]:
        """Return the task as JSON has it."""
        return asdict(self)


def task_of(document: Mapping[str, Any]) -> Task:
    """Return the task of a document."""
    return Task(**{**document, "arguments": tuple(document["arguments"])})


@dataclass(frozen=True, slots=True)
class Plan:
    """All tasks of a campaign, and the seconds of each case by endpoint, where shards are cut by them."""

    name: str
    digest: str
    tasks: tuple[Task, ...]
    durations: Mapping[str, Mapping[str, float]]

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON has it; the durations are kept beside it."""
        return {
            "name": self.name,
            "digest": self.digest,
            "tasks": [task.document() for task in self.tasks],
        }


def plan_of(document: Mapping[str, Any]) -> Plan:
    """Return the plan of a document; raise :class:`KeyError` or :class:`TypeError` where it is none."""
    tasks = tuple(task_of(task) for task in document["tasks"])
    return Plan(str(document["name"]), str(document["digest"]), tasks, {})


def make_plan(campaign: Campaign, seconds: Mapping[str, Mapping[str, float]]) -> Plan:
    """Return the plan; ``seconds`` is what was measured (:func:`~kms_conformance.campaign.durations.measured`)."""
    measured = {
        endpoint.name: _own_cases(endpoint, of_endpoint(seconds, endpoint.base_url))
        for endpoint in campaign.endpoints
    }
    tasks = chain.from_iterable(
        _tasks(campaign, endpoint, measured[endpoint.name]) for endpoint in campaign.endpoints
    )
    return Plan(
        campaign.name,
        campaign.digest,
        tuple(tasks),
        {name: durations for name, durations in measured.items() if durations},
    )


def _tasks(campaign: Campaign, endpoint: Endpoint, durations: Mapping[str, float]) -> Iterator[Task]:
    number = _shards(campaign, endpoint, durations)
    groups = list(campaign.groups.items()) or [("", "")]
    at_once = min(endpoint.at_once, number * len(campaign.seeds) * len(groups))
    shared = [*campaign.flags]
    if endpoint.contracts:
        shared += ["--contract", ",".join(endpoint.contracts)]
    if endpoint.rate is not None:
        # Each shard has its share, so that all that are under way keep the rate, wherever they are.
        shared += ["--requests-per-second", f"{endpoint.rate / at_once:.4g}"]
    for seed in campaign.seeds:
        for group, expression in groups:
            run = "/".join(filter(None, [endpoint.name, f"seed-{seed}", group]))
            arguments = (*shared, "--seed", str(seed), *(("-k", expression) if expression else ()))
            for part in range(1, number + 1):
                shard = f"{part}/{number}"
                yield Task(
                    id=f"{run}/{part}-of-{number}",
                    run=run,
                    endpoint=endpoint.name,
                    at_once=at_once,
                    shard=shard,
                    target=endpoint.target,
                    arguments=(*arguments, "--shard", shard),
                    durations=bool(durations),
                    timeout=campaign.timeout,
                )


def _shards(campaign: Campaign, endpoint: Endpoint, durations: Mapping[str, float]) -> int:
    """Return in how many parts a run is cut: as measured, else as many as may be under way at once."""
    if not durations:
        return endpoint.at_once
    wanted = sum(durations.values()) / max(campaign.shard_seconds, _START)
    return min(max(math.ceil(wanted), 1), MOST_SHARDS, len(durations))


@cache
def _case_ids(contract: str) -> frozenset[str]:
    return frozenset(case.id for case in listed_cases(contract))


def _own_cases(endpoint: Endpoint, durations: Mapping[str, float]) -> Mapping[str, float]:
    """Return the durations of the cases that the endpoint is judged by; all where it names no contract."""
    if not endpoint.contracts:
        return durations
    ids = frozenset().union(*map(_case_ids, endpoint.contracts))
    return {case_id: seconds for case_id, seconds in durations.items() if case_id.partition("[")[0] in ids}


def lanes(tasks: Iterable[Task]) -> list[list[Task]]:
    """Return the tasks for queues that know nothing of endpoints: those of one lane run one after the other.

    An endpoint has as many lanes as shards may be under way against it.
    """
    by_endpoint: dict[str, list[list[Task]]] = {}
    for task in tasks:
        own = by_endpoint.setdefault(task.endpoint, [[] for _ in range(task.at_once)])
        min(own, key=len).append(task)
    return [lane for own in by_endpoint.values() for lane in own if lane]


def runs_of(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """Return the tasks of each run, in the order of the plan."""
    runs: dict[str, list[Task]] = {}
    for task in tasks:
        runs.setdefault(task.run, []).append(task)
    return runs


def with_timeout(tasks: Sequence[Task], timeout: float) -> tuple[Task, ...]:
    """Return the tasks with another limit of time, in seconds: that may change while a campaign goes on."""
    return tuple(replace(task, timeout=timeout) for task in tasks)
