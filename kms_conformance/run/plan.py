"""What a run will do, before it does it: how many requests, how long, what will not be tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kms_conformance.outputs.text import duration_text, plural
from kms_conformance.run.clock import RealClock
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.eligibility import admit
from kms_conformance.run.outcomes import NotApplicable, NotTested
from kms_conformance.run.pace import Forecast, forecast_duration
from kms_conformance.run.session import Session


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do. ``left_out`` are the reasons why cases will not be tested, with their number."""

    cases: int
    requests: int
    longest: tuple[str, int]
    forecast: Forecast
    jobs: int
    round_trip: float
    left_out: Counter[str]

    @property
    def requests_text(self) -> str:
        """The number of requests for reading: ``19 957``."""
        return f"{self.requests:,}".replace(",", " ")

    def lines(self) -> list[str]:
        """Return the plan as text."""
        name, number = self.longest
        of_trip = f"{self.jobs} at once, a round trip of {self.round_trip * 1000:.0f} ms"
        pace = self.forecast
        return [
            f"{self.cases} cases, about {self.requests_text} requests; the most of one case: {number} ({name}).",
            f"About {duration_text(pace.seconds)}, bound by {pace.reason}; {of_trip}.",
            f"{plural(self.left_out.total(), 'case')} will not be tested:"
            if self.left_out
            else "No case will be left untested.",
            *(f"  {number:4}  {reason}" for reason, number in self.left_out.most_common()),
        ]


def plan(session: Session, infos: Iterable[CaseInfo]) -> Plan:
    """Return what a run of these cases will do; nothing is sent."""
    left_out: Counter[str] = Counter()
    chosen: dict[str, int] = {}
    waits = alone = 0.0
    for info in infos:
        reason = _not_tested(session, info)
        if reason:
            left_out[reason] += 1
            continue
        chosen[info.id] = session.requests_of(info.id)
        if session.overlaps(info.contract):
            waits = max(waits, info.waits)
        if session.alone(info):
            alone += chosen[info.id]
    longest = max(chosen.items(), key=lambda entry: entry[1], default=("", 0))
    requests, jobs, target = sum(chosen.values()), session.jobs, session.target
    forecast = forecast_duration(
        requests,
        max(longest[1], int(alone)),
        round_trip=session.round_trip,
        per_second=target.requests_per_second,
        jobs=jobs,
        waits=waits,
    )
    return Plan(len(chosen), requests, longest, forecast, jobs, session.round_trip, left_out)


def _not_tested(session: Session, info: CaseInfo) -> str:
    """Return why a case will not be tested, ``""`` where it will as far as anybody can say beforehand."""
    context = session.context(info.contract)
    try:
        admit(info, context.target)
    except (NotTested, NotApplicable) as why:
        return str(why)
    if isinstance(context.clock, RealClock) and info.waits > context.target.max_wait:
        return "it waits longer than [limits] max_wait: give [control] url, or raise it"
    return ""
