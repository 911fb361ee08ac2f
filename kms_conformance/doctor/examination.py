"""The examination: token, network, endpoint, identities, instance, one after the other, until something stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kms_conformance.doctor.connection import diagnose
from kms_conformance.doctor.credentials import of_accounts, of_given_tokens
from kms_conformance.doctor.findings import DiagnosedError, Finding, Level, of_error
from kms_conformance.doctor.surroundings import (
    in_use,
    of_answer,
    of_first_answer,
    of_mode,
    of_plan,
    of_remains,
    of_rights,
    of_settings,
)
from kms_conformance.errors import PreflightRefusedError, SuiteError, TokenRefusedError, UnreachableError
from kms_conformance.run.context import Context
from kms_conformance.run.plan import Plan
from kms_conformance.run.preflight import first_request
from kms_conformance.run.session import Session
from kms_conformance.system import named_object

CASE = "doctor"
_LONGEST = 2.0
"""Seconds in which the cause of silence is looked for."""


def examine(
    session: Session,
    *,
    thoroughly: bool = False,
    mends: bool = False,
    plan: Callable[[], Plan] | None = None,
    profile: str = "",
) -> list[Finding]:
    """Return what is found, in the order in which it is looked for; the last one is the problem that ends the search.

    ``thoroughly`` asks more than a run needs to know: about rights that are too many, and limits. ``mends`` first puts
    back what a dead run has left where that keeps us out. ``plan`` says what a run would do.
    """
    findings: list[Finding] = []
    for finding in _steps(session, thoroughly=thoroughly, mends=mends, plan=plan, profile=profile):
        findings.append(finding)
        if finding.level is Level.PROBLEM:
            break
    return findings


def demand_readiness(session: Session) -> list[Finding]:
    """Return what a run should know beforehand; raise :class:`DiagnosedError` where it cannot be made."""
    findings = examine(session, mends=True)
    for finding in findings:
        if finding.level is Level.PROBLEM:
            raise DiagnosedError(finding)
    return findings


def _steps(
    session: Session, *, thoroughly: bool, mends: bool, plan: Callable[[], Plan] | None, profile: str
) -> Iterator[Finding]:
    target = session.target
    if target.embedded:
        return
    yield from of_given_tokens(target, 0.0)
    if thoroughly:
        yield from _first_answers(session)
    try:
        firsts = session.check(mends=mends)
    except SuiteError as error:
        if thoroughly and isinstance(error, PreflightRefusedError):
            yield from of_remains(session.left_behind())  # they may be what keeps us out
        yield _cause(error, session)
        return
    for contract_id, first in firsts.items():
        context = session.context(contract_id)
        yield from of_answer(first, context.client.principal, fresh=context.target.fresh)
        if thoroughly:
            yield from _of_people(session, context)
    yield from of_mode(target)
    if not thoroughly:
        return
    try:
        session.read_premises()
        yield from of_instance(session)
        yield from of_remains(session.left_behind())
        if plan is not None:
            yield from of_plan(plan(), profile)
    except SuiteError as error:
        yield of_error(error, "journal" if "journal" in error.sentence else "target")


def of_instance(session: Session) -> Iterator[Finding]:
    """Yield what the owners of the instances have set, once the session has read it."""
    for contract_id in session.options.contracts:
        yield from of_settings(session.context(contract_id))


def _first_answers(session: Session) -> Iterator[Finding]:
    """Yield what the first answers tell at once, without the patience that a run has with limits of the rate."""
    for contract_id in session.options.contracts:
        context = session.context(contract_id)
        request = first_request(context.contract, session.instance(context.target))
        if request is None:
            continue
        try:
            first = context.client.ask_once(request, CASE)
        except SuiteError as error:
            yield _cause(error, session)
            return
        yield from of_first_answer(first, context.target)


def _of_people(session: Session, context: Context) -> Iterator[Finding]:
    instance = session.instance(context.target)
    if not context.contract.system.authorization.signer:
        names = [name for name in context.target.identities if name not in context.target.system.lapsed]
        yield from of_accounts({name: str(context.client.tokens.of(name)) for name in names})
    yield from of_rights(context, context.contract, instance)
    if context.contract.system.quotas and not context.target.fresh:
        yield from in_use(
            named_object(context.contract.system.quotas)(context.client, context.contract, instance)
        )


def _diagnosed(url: str, session: Session) -> Finding | None:
    return diagnose(url, min(session.target.timeout, _LONGEST), session.target.connection)


def _cause(error: SuiteError, session: Session) -> Finding:
    """Return a refusal of the checks as a finding; where nobody answered, why."""
    if isinstance(error, UnreachableError | TokenRefusedError):
        silent = isinstance(error, UnreachableError) or error.why.startswith("no answer")
        problem = _diagnosed(error.url, session) if silent else None
        if problem is not None and isinstance(error, TokenRefusedError):
            symptom = of_error(error, "").symptom
            advice = problem.resolution.replace("base_url", "[iam] url")
            return Finding(problem.id, Level.PROBLEM, symptom, problem.cause, advice)
        if problem is not None:
            return problem
        return of_error(error, "token-refused" if isinstance(error, TokenRefusedError) else "silence")
    return of_error(error, "refused")
