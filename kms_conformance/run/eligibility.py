"""Whether a case may run: its declarations make sense, and the target has what it needs."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from kms_conformance.errors import AuthorError, did_you_mean
from kms_conformance.evidence.exchange import READS
from kms_conformance.run.outcomes import NotApplicable, NotTested
from kms_conformance.target.target import FULL, READ_ONLY, SAFE

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.run.context import CaseInfo
    from kms_conformance.target.target import Target
    from kms_conformance.transport.client import Request


def demand_known_names(info: CaseInfo, contract: Contract) -> None:
    """Raise :class:`AuthorError` where a marker of a case names what does not exist: it would be ignored silently."""
    system = contract.system
    if not info.covers:
        raise AuthorError(info.id, "it covers no row of the contract")
    for names, what, known in (
        (info.covers, "row", contract.requirements),
        (info.identities, "identity", system.identities),
        (info.capabilities, "capability", system.capabilities),
        ((*info.impact, *info.perhaps), "impact", system.impacts),
    ):
        for name in names:
            if name not in known:
                raise AuthorError(info.id, f"there is no {what} {name!r}{nearest(name, known)}")


def nearest(name: str, known: Collection[str]) -> str:
    """Return the known name that a wrong one comes near to, in brackets and with a blank before; else ``""``."""
    near = did_you_mean(name, known)
    return f" (did you mean {near!r}?)" if near else ""


def switched_off(kind: str, target: Target) -> str:
    """Return what the target would have to say to permit an impact, ``""`` where it does."""
    switch = target.system.impacts[kind].switch
    if target.mode == READ_ONLY or not (target.fresh or target.allow.get(switch)):
        return f"--mode {FULL}" if switch in target.unused else f"[allow] {switch} = true"
    return ""


def held_back(method: str, operation: str | None, target: Target) -> str:
    """Return why the mode of the run forbids a request, ``""`` where it does not."""
    if target.mode == READ_ONLY and method not in READS:
        return f"--mode {READ_ONLY} sends no request that may change something, such as {method}"
    if target.mode == SAFE and not target.fresh:
        for kind in target.system.impacts.values():
            if operation in kind.operations:
                return f"--mode {SAFE} leaves what others share alone, so it sends no {operation}"
    return ""


def demand_mode(request: Request, target: Target) -> None:
    """Raise :class:`NotTested` where the mode of the run forbids a request."""
    if why := held_back(request.method, request.operation, target):
        raise NotTested(why)


def admit(info: CaseInfo, target: Target) -> None:
    """Refuse a case that the target does not allow, and say what to add to get it run."""
    for capability in info.capabilities:
        if target.capabilities.get(capability) is False:
            raise NotApplicable(f"the target declares capabilities.{capability} = false")
    missing = [f"[identities.{name}]" for name in info.identities if name not in target.identities]
    if info.control and not target.control_url:
        missing.append(f"--mode {SAFE}" if target.mode == READ_ONLY else "[control] url")
    missing += [switch for kind in info.impact if (switch := switched_off(kind, target))]
    if missing:
        to_target = [what for what in missing if not what.startswith("--")]
        modes = sorted(what for what in missing if what.startswith("--"))  # "full" permits what "safe" does
        hints = [f"add {', '.join(to_target)} to the target"] if to_target else []
        hints += [f"{modes[0]} lets it run"] if modes else []
        raise NotTested("; ".join(hints))
