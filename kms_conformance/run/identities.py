"""Who the identities of a target are, before anything is created: each another person, and each with its rights.

Two identities that are one person, or one that lacks what its cases need, make failures that are no fault of the
endpoint, and keys that nobody can delete. Subjects are read from the tokens; rights are tried by requests about things
that do not exist.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

from kms_conformance.contract.contract import Contract
from kms_conformance.errors import PreflightRefusedError, SameIdentityError
from kms_conformance.evidence.exchange import READS, Exchange
from kms_conformance.system import named_object
from kms_conformance.target.target import READ_ONLY, Target
from kms_conformance.transport.claims import subject_of
from kms_conformance.transport.client import Client, Request

CASE = "preflight"
_REFUSED = frozenset({401, 403})
_AT_ONCE = 8
"""How many tokens or rights are requested at once: each takes a round trip, and nothing else can begin."""


@dataclass(frozen=True, slots=True)
class Right:
    """What an identity has to be able to do: ``role`` names it, and each of ``tries`` is a method and a path.

    ``{id}`` in a path is an id that nothing has, so nothing is changed. The identity lacks the right where every try is
    refused with 401 or 403. ``may`` is false for what it must not be able to do: a run judges that, and only ``doctor``
    tries it beforehand.
    """

    identity: str
    role: str
    tries: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...] = ()
    may: bool = True


def demand_identities(client: Client, contract: Contract, instance: str) -> None:
    """Raise where the identities of a target are not who they should be.

    :class:`SameIdentityError` where two of them are one person, :class:`PreflightRefusedError` where one lacks a right,
    and what fetching a token raises.
    """
    target = client.target
    demand_distinct(client, target)
    rights = [right for right in rights_of(contract, target) if right.may]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        all_refused = threads.map(lambda right: refusals(client, right, contract, instance), rights)
    for right, refused in zip(rights, all_refused, strict=True):
        if refused is not None:
            asked = f"{refused.sent.method} of an unknown thing" if "{id}" in _last(right) else refused.step
            raise PreflightRefusedError(
                target.base_url,
                f"the identity {right.identity!r} has not the role {right.role}: {asked} gave {refused.outcome}",
                _advice(right, target),
            )


def demand_distinct(client: Client, target: Target) -> None:
    """Raise :class:`SameIdentityError` where two identities that have to be different are one person."""
    names = list(dict.fromkeys(_named(target)))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        people = dict(zip(names, threads.map(lambda name: _who(client, target, name), names), strict=True))
    for group in target.system.apart:
        for one, other in combinations([name for name in group if name in people], 2):
            same = people[one] & people[other]
            if same:
                raise SameIdentityError(one, other, min(same)[0])


def _named(target: Target) -> Iterator[str]:
    for group in target.system.apart:
        present = [name for name in group if name in target.identities]
        if len(present) > 1:
            yield from present


def _who(client: Client, target: Target, name: str) -> frozenset[tuple[str, ...]]:
    """Return everything that tells an identity from others: its secrets, and the subject of its token."""
    secrets = {
        (f"the same {member}", str(secret)) for member, secret in target.identities[name].secrets().items()
    }
    if target.system.authorization.signer:
        return frozenset(secrets)
    token = str(client.tokens.of(name))
    subject = subject_of(token)
    claims = (
        {(f"the same {subject[0]} in their tokens", *subject[1:])} if subject else {("the same token", token)}
    )
    return frozenset(secrets | claims)


def rights_of(contract: Contract, target: Target) -> list[Right]:
    """Return the rights that can be tried on this target: of its own identities, and in its mode."""
    rights: Iterable[Right] = named_object(contract.system.rights) if contract.system.rights else ()
    return [
        right
        for right in rights
        if right.identity in target.identities
        and (target.mode != READ_ONLY or all(method in READS for method, _ in right.tries))
    ]


def refusals(client: Client, right: Right, contract: Contract, instance: str) -> Exchange | None:
    """Return the last refusal where an identity lacks a right, else ``None``."""
    last = None
    for method, path in right.tries:
        place = path.format(id=uuid.uuid4(), instance=instance)
        request = Request(
            method,
            place,
            headers={name: value.format(instance=instance) for name, value in right.headers},
            identity=right.identity,
            operation=contract.operation_of(method, place.partition("?")[0]),
            step=f"{method} {path.partition('?')[0]}",
        )
        last = client.send(request, CASE)[1]
        if last.answer is None or last.answer.status not in _REFUSED:
            return None
    return last


def _last(right: Right) -> str:
    return right.tries[-1][1]


def _advice(right: Right, target: Target) -> str:
    if right.identity == target.system.principal:
        return f"give it the role {right.role} on this instance, or name another identity there."
    return f"give it the role {right.role}, or leave [identities.{right.identity}] out: its cases are then not tested."
