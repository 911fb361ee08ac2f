"""What an endpoint, an instance and earlier runs tell of themselves: clock, limits, rights, settings, remains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

from kms_conformance.contract.contract import Contract
from kms_conformance.doctor.findings import Finding, Level
from kms_conformance.errors import ExitCode
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.header_values import http_date, whole_number
from kms_conformance.outputs.text import duration_text, plural, rfc3339
from kms_conformance.run.context import Context
from kms_conformance.run.identities import refusals, rights_of
from kms_conformance.run.journal import JournalEntry
from kms_conformance.run.plan import Plan
from kms_conformance.target.target import FULL, Target

_SKEW = 5.0
_FEW = 50
_REMAINING = ("ratelimit-remaining", "x-ratelimit-remaining")


def of_first_answer(exchange: Exchange, target: Target) -> Iterator[Finding]:
    """Yield what the answer to a harmless request tells before anything else is asked: whether one may ask at all."""
    answer = exchange.answer
    if answer is None:
        return
    symptom = f"The endpoint {target.base_url} cannot be judged"
    if answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        yield Finding(
            "proxy",
            Level.PROBLEM,
            symptom,
            "a proxy in front of it answers 407 and wants credentials",
            "name the proxy with its credentials ([proxy] url, user, password_env), or an address without it",
        )
    elif answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        after = answer.headers.get("retry-after", "")
        yield Finding(
            "rate-limited",
            Level.PROBLEM,
            symptom,
            f"it limits the rate at the very first request (429{', Retry-After ' + after if after else ''})",
            "wait, lower [limits] requests_per_second, and see who else uses the instance at this time",
        )
    elif answer.kind.startswith("an HTML"):
        yield Finding(
            "html",
            Level.PROBLEM,
            symptom,
            f"{exchange.sent.method} {exchange.sent.path} gave {answer.status} with {answer.kind}",
            "check base_url; a login page, a proxy or a web server answers in its place",
        )


def of_answer(exchange: Exchange, principal: str, *, fresh: bool) -> Iterator[Finding]:
    """Yield what the first answer of an endpoint that speaks the API tells: instance, clock and limits.

    ``fresh``: the instance was asked for for the first time, so that it may well not exist yet.
    """
    answer = exchange.answer
    if answer is None:
        return
    if answer.status >= HTTPStatus.BAD_REQUEST and not (fresh and answer.status == HTTPStatus.NOT_FOUND):
        yield Finding(
            "instance",
            Level.WARNING,
            f"{exchange.sent.method} {exchange.sent.path} as {principal!r} gave {exchange.outcome}",
            "the instance may not exist, or may be another one's",
            "check instance, and that the identity has a role there; a run judges the answer as it is",
        )
    skew = _skew(exchange)
    if skew is not None and abs(skew) >= _SKEW:
        yield Finding(
            "clock-skew",
            Level.WARNING,
            f"The clock of the endpoint is {duration_text(abs(skew))} {'ahead of' if skew > 0 else 'behind'} ours",
            "tokens and dates are compared with the wrong time by one of the two",
            "set the clock of this machine, or of the server, by NTP",
        )
    for name in _REMAINING:
        left = whole_number(answer.headers.get(name, ""))
        if left is not None and left < _FEW:
            yield Finding(
                "quota",
                Level.WARNING,
                f"The endpoint allows {left} more requests in this period",
                f"its header {name} says so",
                "wait for the next period, or lower [limits] requests_per_second",
            )


def _skew(exchange: Exchange) -> float | None:
    date = http_date(exchange.answer.headers.get("date", "")) if exchange.answer is not None else None
    return None if date is None else date - (exchange.started + exchange.duration / 2)


def of_rights(context: Context, contract: Contract, instance: str) -> Iterator[Finding]:
    """Yield the identities that may do what they should not: they have too many roles, or none is asked for."""
    for right in rights_of(contract, context.target):
        if not right.may and refusals(context.client, right, contract, instance) is None:
            method, path = right.tries[-1]
            yield Finding(
                "role",
                Level.WARNING,
                f"The identity {right.identity!r} may do what it has to be refused ({method} {path})",
                f"it has the role {right.role} here, or the endpoint asks for none",
                f"take the role {right.role} from it; where it has not got it, a run tells the fault",
            )


def of_settings(context: Context) -> Iterator[Finding]:
    """Yield what the owner of the instance has set there."""
    for setting in context.premises.settings:
        changes = "; ".join(change.why for change in setting.changes)
        yield Finding(
            "instance-policy",
            Level.WARNING if setting.changes else Level.NOTE,
            f"The instance has {setting.description}",
            changes or "no case depends on it",
            "cases whose premise it changes are inconclusive; switch it off, or use an instance of your own"
            if changes
            else "nothing to do",
        )


def of_remains(things: Sequence[JournalEntry]) -> Iterator[Finding]:
    """Yield what dead runs have left on the target."""
    if things:
        oldest = min(entry.at for entry in things)
        yield Finding(
            "left-behind",
            Level.WARNING,
            f"{plural(len(things), 'thing')} of earlier runs may still be there, the oldest of {rfc3339(oldest)}",
            "a run was killed, or its clean-up was refused",
            "`kms-conformance sweep` lists them, `sweep --yes` removes them; a run does so at its start",
        )


def of_lingering(kinds: Mapping[str, int]) -> Iterator[Finding]:
    """Yield what runs have removed and the service still keeps, by kind."""
    for kind, number in kinds.items():
        yield Finding(
            "lingering",
            Level.NOTE,
            f"{number} of kind {kind} made by earlier runs wait for their deletion",
            "the service deletes them only after a documented while, and shows them until then",
            "nothing to do: they go by themselves",
        )


def of_mode(target: Target) -> Iterator[Finding]:
    """Yield which permissions of the target the mode leaves without effect."""
    if target.unused:
        yield Finding(
            "mode",
            Level.NOTE,
            f"[allow] {', '.join(target.unused)} has no effect",
            f"the mode is {target.mode}",
            f"add --mode {FULL} for what [allow] permits",
        )


def of_plan(plan: Plan, profile: str) -> Iterator[Finding]:
    """Yield what the profile cannot test here, and what the run will cost."""
    if plan.left_out:
        reasons = [f"{number}: {reason}" for reason, number in plan.left_out.most_common(3)]
        yield Finding(
            "not-tested",
            Level.NOTE,
            f"{plan.left_out.total()} of {plan.left_out.total() + plan.cases} cases of the profile {profile} will not be tested",
            "; ".join(reasons),
            "`kms-conformance run --plan` lists all reasons",
        )
    yield Finding(
        "expected",
        Level.NOTE,
        f"A run sends about {plan.requests_text} requests in about {duration_text(plan.forecast.seconds)}",
        f"bound by {plan.forecast.reason}",
        "-k, --shard and [limits] requests_per_second change that",
    )


def in_use(quotas: Mapping[str, tuple[int, int]]) -> Iterator[Finding]:
    """Yield what an instance has nearly used up: by name, how many there are and how many there may be."""
    for what, (used, most) in quotas.items():
        if used >= most * 0.9:
            yield Finding(
                "quota",
                Level.WARNING,
                f"The instance has {used} {what} of at most {most}",
                "cases that make some more may be refused",
                f"remove {what} that nobody needs, or use another instance",
                ExitCode.NOT_VERIFIED,
            )
