"""A load beside the cases: is an endpoint still right while many ask at once, and how fast (the extra ``load``).

Locust sends the operations of a system's load in a process of its own, for a time that is bounded; beside it a plain
``kms-conformance run`` judges the cases of a chosen list. What the load uses is made, written to the journal and
removed as a case does it. The token travels through a pipe.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kms_conformance.campaign.description import Campaign, Endpoint
from kms_conformance.campaign.errors import CampaignFileError
from kms_conformance.campaign.work import judge_beside, target_file
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import ExitCode, MissingExtraError, UnreachableError
from kms_conformance.outputs.files import put
from kms_conformance.outputs.text import duration_text
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.load_operation import LoadOperation
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.system import named_object
from kms_conformance.target.target import Target, read_target

NAME = "load.json"
USERS, SECONDS = 10, 30.0
CASES = "laws or actions"
_MARGIN = 60.0
"""Seconds that Locust has beyond the time asked for."""
_LONGEST = 3600.0
"""Seconds that the cases beside it may take."""


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """How much is sent: ``users`` at once for ``seconds``, at most ``per_second`` requests (``None``: as they come)."""

    users: int
    seconds: float
    per_second: float | None
    cases: str
    mix: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came out of one endpoint.

    ``operations`` have count, errors and percentiles in seconds; ``errors`` are answers 429, 5xx and none: an overload is no
    breach; ``wrong`` is how many answers were others than promised, ``first_wrong`` the first of them; ``cases`` is the exit
    code of the run beside it and its verdict line.
    """

    endpoint: str
    seconds: float
    operations: Sequence[Mapping[str, Any]]
    requests: int
    errors: int
    wrong: int
    first_wrong: Mapping[str, Any] | None
    cases: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """1 where the load or the run beside it saw a wrong answer; what else kept the run from a verdict; else 0."""
        code = int(self.cases["code"])
        if self.wrong or code == ExitCode.NON_CONFORMANT:
            return int(ExitCode.NON_CONFORMANT)
        if not self.requests:
            return int(ExitCode.NOT_VERIFIED)
        # A list of cases is never the whole, so that its verdict alone is "not verified".
        return 0 if code == ExitCode.NOT_VERIFIED and all_good(self.cases["counts"]) else code


def settings_of(campaign: Campaign, endpoint: Endpoint) -> LoadSettings:
    """Return what the campaign file says about load; an endpoint's rate bounds the load, too."""
    asked = campaign.load
    given = asked.get("requests_per_second")
    bounds = [float(bound) for bound in (given, endpoint.rate) if bound is not None]
    return LoadSettings(
        users=asked.get("users", USERS),
        seconds=float(asked.get("seconds", SECONDS)),
        per_second=min(bounds) if bounds else None,
        cases=asked.get("cases", CASES),
        mix=asked.get("mix", {}),
    )


def load_endpoint(
    campaign: Campaign, endpoint: Endpoint, folder: Path, says: Callable[[str], None]
) -> LoadResult:
    """Put load on an endpoint and judge the chosen cases meanwhile; write ``load.json`` and the run's report into a folder.

    Raises :class:`MissingExtraError` without Locust, :class:`CampaignFileError` where the system has no load, and what
    reading a target raises.
    """
    if find_spec("locust") is None:
        raise MissingExtraError("--load", "locust", "load")
    settings = settings_of(campaign, endpoint)
    folder.mkdir(parents=True, exist_ok=True)
    with target_file(endpoint.target, folder) as path:
        target = read_target(path)
        contract = (endpoint.contracts or target.contracts)[0]
        target = target.seen_by(contract)
        if not target.system.load:
            why = f"the system {contract} has no load"
            raise CampaignFileError(endpoint.name, why, "name another contract first.")
        if target.connection.proxy and not target.loopback:
            raise CampaignFileError(endpoint.name, "its target has a proxy, through which no load is sent")
        says(
            f"{endpoint.name}: {settings.users} users for {duration_text(settings.seconds)}, beside them: {settings.cases}"
        )
        result = _loaded(target, path, endpoint, settings, folder)
    put(folder / NAME, json.dumps(asdict(result), indent=1) + "\n")
    return result


def _loaded(
    target: Target, path: str, endpoint: Endpoint, settings: LoadSettings, folder: Path
) -> LoadResult:
    session = Session(Options(contracts=(target.contract,), journal=folder / "load.sqlite"), target)
    found: dict[str, Any] = {}
    try:
        session.check()
        session.recover()
        session.read_premises()

        def body(system: Any) -> None:
            operations: list[LoadOperation] = named_object(target.system.load)(system)
            client = system.case.context.client
            header = client.authorizer.token_header(client.principal)
            order = _order(target, operations, header, settings)
            found.update(_beside(order, path, target.contract, settings, folder))

        info = CaseInfo("campaign.load", "load", target.contract, (next(iter(_rows(session))),))
        judged = session.run_case(session.open(info), body)
        if not found:
            raise UnreachableError(target.base_url, judged.message or "the load could not begin")
        session.tidy()
    finally:
        session.close()
    return LoadResult(endpoint=endpoint.name, seconds=settings.seconds, **found)


def _rows(session: Session) -> Mapping[str, Any]:
    return session.context(session.target.contract).contract.requirements


def _order(
    target: Target, operations: Sequence[LoadOperation], header: Mapping[str, str], settings: LoadSettings
) -> dict[str, Any]:
    """Return what Locust's process reads from its pipe."""
    weighted = [
        {**asdict(operation), "weight": settings.mix.get(operation.name, operation.weight)}
        for operation in operations
    ]
    return {
        "base_url": target.base_url,
        "authorization": dict(header),
        "operations": [operation for operation in weighted if operation["weight"]],
        "users": settings.users,
        "seconds": settings.seconds,
        "per_second": settings.per_second,
        "timeout": target.timeout,
        "ca_file": target.connection.ca_file,
    }


def _beside(
    order: Mapping[str, Any], path: str, contract: str, settings: LoadSettings, folder: Path
) -> dict[str, Any]:
    """Run the load and, beside it, the cases; return what both say."""
    locust = subprocess.Popen(
        [sys.executable, "-m", "kms_conformance.campaign.load_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert locust.stdin is not None
        locust.stdin.write(json.dumps(order).encode() + b"\n")
        locust.stdin.flush()
        cases = judge_beside(path, contract, settings.cases, folder, _LONGEST)
        output, _ = locust.communicate(timeout=settings.seconds + _MARGIN)
    finally:
        locust.kill()
        locust.wait()
    try:
        figures = json.loads(output)
    except ValueError:
        raise UnreachableError(str(order["base_url"]), "the load ended without figures") from None
    return {**figures, "cases": cases}


def all_good(counts: Mapping[str, int]) -> bool:
    """Tell whether each case of a run that was judged is good, and some are."""
    bad = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE)
    return not any(counts.get(verdict.value) for verdict in bad) and bool(counts.get(Verdict.PASSED.value))


def lines_of(result: LoadResult) -> list[str]:
    """Return a result in lines for people."""
    asked = f"{result.requests} requests in {duration_text(result.seconds)}"
    errors = f"{result.errors} without an answer or refused for overload"
    lines = [f"{result.endpoint}: {asked}, {errors}, {result.wrong} wrong"]
    for block in result.operations:
        times = ", ".join(f"{name} {duration_text(block[f'{name}_s'])}" for name in ("p50", "p95", "p99"))
        share = block["errors"] / block["count"] if block["count"] else 0.0
        lines.append(
            f"  {block['name']}: {block['count']}, {times}, {share:.1%} errors, {block['wrong']} wrong"
        )
    if result.first_wrong:
        wrong = result.first_wrong
        lines.append(
            f"  first wrong answer after {wrong['after_s']:.1f} s: {wrong['operation']}: expected {wrong['expected']}, got {wrong['got']}"
        )
    took = float(result.cases["seconds"])
    longer = f" (they took {duration_text(took)}, longer than the load)" if took > result.seconds else ""
    return [*lines, f"  cases beside it{longer}: {result.cases['line']}"]
