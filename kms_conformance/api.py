"""What authors of cases import, and nothing else.

A case is a function whose docstring is the rule::

    @covers("key-rotation-not-permitted")
    def test_rotate_twice_within_the_hour(kms):
        \"\"\"A root key rotated less than an hour ago is not rotated again.\"\"\"
        key = kms.import_root_key()
        kms.rotate(key, payload=kms.key_material()).succeeds(204)
        kms.rotate(key, payload=kms.key_material()).is_refused("KEY_ROTATION_NOT_PERMITTED")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.evidence.dates import moment_of
from kms_conformance.fuzz import entrypoints
from kms_conformance.fuzz.raw_request import send_raw
from kms_conformance.laws import entries
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive

__all__ = [
    "Inconclusive",
    "Secret",
    "case_fixture",
    "covers",
    "fuzz_operation",
    "hold_law",
    "impact",
    "law_cases",
    "near",
    "needs",
    "operations",
    "raw_request",
    "replay_corpus",
    "waits",
    "walk",
]


def covers(*requirements: str) -> pytest.MarkDecorator:
    """Name the rows of ``requirements.yaml`` that a case puts to the test; the first is the main one."""
    return pytest.mark.covers(*requirements)


def near(date: str, *, seconds: float) -> str:
    """Return a pattern for the date and time some seconds after another one of the endpoint's, to within a second.

    Raises :class:`Inconclusive` where that one is no date.
    """
    moment = moment_of(date)
    if moment is None:
        raise Inconclusive("the date of which a later one was to be told is none")
    around = (moment + timedelta(seconds=seconds + off) for off in (-1, 0, 1))
    return "^({})".format("|".join(f"{other:%Y-%m-%dT%H:%M:%S}" for other in around))


def needs(
    *, identity: str | tuple[str, ...] = (), capability: str | tuple[str, ...] = (), control: bool = False
) -> pytest.MarkDecorator:
    """Name what the target must give: further identities, capabilities, the control protocol.

    Without an identity or the control protocol the case is ``not-tested``; a capability that the target declares
    to lack makes it ``not-applicable``.
    """
    identities = (identity,) if isinstance(identity, str) else identity
    capabilities = (capability,) if isinstance(capability, str) else capability
    return pytest.mark.needs(identity=identities, capability=capabilities, control=control)


def impact(*kinds: str, where_allowed: bool = False) -> pytest.MarkDecorator:
    """Name what a case touches beyond its own keys; ``where_allowed``: elsewhere it runs all the same, and does without.

    The system of the case says which kinds there are, whether such a case runs alone or takes turns with others, and which
    switch under ``[allow]`` each needs on a shared instance.
    """
    return pytest.mark.impact(*kinds, where_allowed=where_allowed)


def waits(seconds: float, *, slack: float = math.inf) -> pytest.MarkDecorator:
    """Declare how long a case waits in all, in seconds; ``kms.wait`` refuses more.

    ``slack`` is by how many seconds it may wait longer, so that what it expects afterwards still holds. On a shared
    instance whose clock can be moved, cases wait together, and each may have to wait a little for the others: one with
    less slack than that has the instance to itself.
    """
    return pytest.mark.waits(seconds, slack=slack)


def replay_corpus(system: Any, group: str) -> None:
    """Replay what the corpus holds for a group of operations, and judge every answer."""
    entrypoints.replay_group(system.case, group)


def fuzz_operation(system: Any, operation: str, kind: str) -> None:
    """Make requests of one operation, ``valid`` or ``invalid`` ones, and judge every answer."""
    entrypoints.fuzz_operation(system.case, operation, kind)


def raw_request(
    system: Any, method: str, target: str, headers: list[str], content: bytes = b""
) -> tuple[Answer, int]:
    """Send a request byte by byte as it is given, where the target allows it; return the answer and how many came.

    ``{host}``, ``{token}`` and ``{instance}`` in a header are filled.
    """
    return send_raw(system, method, target, headers, content, f"raw {method}")


def walk(system: Any, kind: str) -> None:
    """Walk through the life of things of a kind, and compare every answer with the system's model."""
    entrypoints.walk(system.case, kind)


def law_cases(contract: str, law: str, part: str = "") -> list[Any]:
    """Return the parameters of a law's cases, or of a part of them, each with the markers that its data ask for."""
    return [
        pytest.param(
            case.id,
            id=case.id,
            marks=[
                covers(*case.rows),
                needs(identity=case.identities, capability=case.capabilities, control=case.control),
                *([waits(case.waits, slack=case.slack)] if case.waits else []),
                *([impact(*case.impact)] if case.impact else []),
            ],
        )
        for case in entries.law_cases(contract, law).values()
        if not part or case.data.get("part") == part
    ]


def hold_law(system: Any, law: str, case_id: str) -> None:
    """Go through one case of a law (``<law>.yaml`` of the contract), and judge every answer."""
    from kms_conformance.laws.entrypoints import hold  # noqa: PLC0415 - only the law cases need it

    hold(system, law, case_id)


def operations(contract: str) -> tuple[str, ...]:
    """Return the ids of a contract's operations."""
    return tuple(load_contract(contract).operations)


def case_fixture(contract: str, name: str = "kms") -> Callable[..., Any]:
    """Return the pytest fixture that gives a case its system; a ``conftest.py`` beside the cases assigns it."""

    def system(request: pytest.FixtureRequest) -> Iterator[Any]:
        from kms_conformance.pytest_plugin.plugin import open_case  # noqa: PLC0415 - cases are also imported without pytest

        yield from open_case(request, contract)

    system.kms_contract = contract  # type: ignore[attr-defined]  # read by the plugin
    return pytest.fixture(name=name)(system)
