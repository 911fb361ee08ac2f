"""Variations that need a sequence of their own: what each of them does otherwise, and that the reference does it not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from key_protect_probe import tokens_of
from probe_client import CRN, DAY, POLICY, REGISTRATION, Probe, frame

from kms_reference.key_protect import free_variations
from kms_reference.key_protect.app import KeyProtect
from kms_reference.key_protect.server_state import ServerState
from kms_reference.rules import Rules
from kms_reference.variations import VARIATIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Sequence = Callable[[Probe], Awaitable[Any]]

MONTH = 30 * DAY + 60


def code(body: Any) -> Any:
    """Return the reason code of a refusal."""
    return body["resources"][0]["reasons"][0]["code"]


async def monthly(p: Probe) -> str:
    """Make a key that rotates each month, and wait for a month."""
    key = await p.create()
    await p.send("PUT", f"/keys/{key}/policies", frame(POLICY, {"rotation": {"interval_month": 1}}))
    await p.wait(MONTH)
    return key


async def rotated_by_policy(p: Probe) -> Any:
    """Return how many versions a key has after a month of its policy."""
    return len((await p.send("GET", f"/keys/{await monthly(p)}/versions"))[1]["resources"])


async def rotated_by_hand_too(p: Probe) -> Any:
    """Rotate a key by request right after its policy has; return what is answered."""
    return (await p.send("POST", f"/keys/{await monthly(p)}/actions/rotate"))[0]


async def gone(p: Probe) -> Any:
    """Read a deleted key after 90 days; return what is answered."""
    key = await p.create()
    await p.send("DELETE", f"/keys/{key}")
    await p.wait(90 * DAY + 60)
    return (await p.send("GET", f"/keys/{key}/metadata"))[0]


async def enabled_after_naming(p: Probe) -> Any:
    """Enable a key 31 seconds after it was disabled, and right after it was named; return what is answered."""
    key = await p.create()
    await p.act(key, "disable")
    await p.wait(31)
    await p.send("POST", f"/keys/{key}/aliases/named")
    return (await p.send("POST", f"/keys/{key}/actions/enable"))[0]


async def no_json_for_unknown_key(p: Probe) -> Any:
    """Send a body that is no JSON for a key that does not exist; return what is answered."""
    return (await p.send("POST", "/keys/unknown/actions/wrap", b"{"))[0]


async def used_and_unauthorised(p: Probe) -> Any:
    """Delete a key that is registered and needs two users; return what is answered."""
    key = await p.create()
    await p.send("PUT", f"/keys/{key}/policies", frame(POLICY, {"dualAuthDelete": {"enabled": True}}))
    use = frame(REGISTRATION, {"description": "d"})
    await p.send("POST", f"/keys/{key}/registrations/{CRN}", use, who="service")
    return code((await p.send("DELETE", f"/keys/{key}"))[1])


async def bad_ciphertext_for_suspended(p: Probe) -> Any:
    """Unwrap with a suspended key what is not base64; return what is answered."""
    key = await p.create()
    await p.act(key, "disable")
    return (await p.send("POST", f"/keys/{key}/actions/unwrap", {"ciphertext": "AB;"}))[0]


async def suspended_authorised(p: Probe) -> Any:
    """Authorise the deletion of a suspended key without the policy; return what is answered."""
    key = await p.create()
    await p.act(key, "disable")
    return code(await p.act(key, "setKeyForDeletion"))


async def neither_token_nor_instance(p: Probe) -> Any:
    """Send neither a token nor the instance; return what is answered."""
    return (await p.send("GET", "/keys", authorization=None, bluemix_instance=None))[0]


async def rings(p: Probe, number: int) -> Any:
    """Make a number of rings; return the last answer and the list."""
    for place in range(number):
        status, _ = await p.send("POST", f"/key_rings/ring-{place}")
    return status, (await p.send("GET", "/key_rings"))[1]["resources"]


async def fifty_first_ring(p: Probe) -> Any:
    """Make 51 key rings; return what is answered."""
    return (await rings(p, 51))[0]


async def first_of_rings(p: Probe) -> Any:
    """Return which key ring a list begins with."""
    return (await rings(p, 2))[1][0]["id"]


async def page_of_rings(p: Probe) -> Any:
    """Return how many of 53 key rings a page holds."""
    return len((await rings(p, 52))[1])


async def version_of_id(p: Probe) -> Any:
    """Return which version of UUID a key's id has."""
    return (await p.create())[14]


async def minimal(p: Probe) -> Any:
    """Return whether a minimal creation says that the key was imported."""
    body = frame("application/vnd.ibm.kms.key+json", {"name": "probe-key", "extractable": False})
    return "imported" in (await p.send("POST", "/keys", body, prefer="return=minimal"))[1]["resources"][0]


async def answered(rules: Rules, sequence: Sequence) -> Any:
    """Return what a sequence ends with under these rules."""
    app = KeyProtect(ServerState(rules))
    tokens = tokens_of(app)
    end = await sequence(Probe(app, tokens))
    assert app.crashes == []
    return end


@pytest.mark.parametrize(
    ("name", "sequence", "usual", "other"),
    [
        ("policy-rotates-late", rotated_by_policy, 2, 1),
        ("hour-of-manual-rotations", rotated_by_hand_too, 409, 204),
        ("auto-purge-a-day-late", gone, 404, 200),
        ("wait-from-last-change", enabled_after_naming, 204, 409),
        ("body-read-first", no_json_for_unknown_key, 404, 400),
        (
            "uses-before-authorisations",
            used_and_unauthorised,
            "AUTHORIZATIONS_NOT_MET",
            "PROTECTED_RESOURCE_ERR",
        ),
        ("ciphertext-before-state", bad_ciphertext_for_suspended, 409, 400),
        (
            "state-before-dual-authorisation",
            suspended_authorised,
            "NOT_DUAL_AUTH_ERR",
            "KEY_ACTION_INVALID_STATE_ERR",
        ),
        ("instance-before-token", neither_token_nor_instance, 401, 400),
        ("fifty-rings-at-most", fifty_first_ring, 201, 409),
        ("lists-backward", first_of_rings, "default", "ring-1"),
        ("rings-page-of-51", page_of_rings, 53, 51),
        ("ids-of-time", version_of_id, "4", "7"),
        ("minimal-creation", minimal, True, False),
    ],
)
def test_what_is_otherwise(name: str, sequence: Sequence, usual: Any, other: Any) -> None:
    """A sequence ends otherwise with the variation, and as usual without."""
    assert asyncio.run(answered(Rules(), sequence)) == usual
    assert asyncio.run(answered(Rules.of("page", [], [VARIATIONS[name]]), sequence)) == other


def test_late_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer of two hundred is late."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def ask(p: Probe) -> None:
        for _ in range(400):
            await p.send("GET", "/key_rings")

    # The name in this module only: servers of other tests sleep as well.
    monkeypatch.setattr(free_variations, "asyncio", SimpleNamespace(sleep=sleep))
    asyncio.run(answered(Rules.of("page", [], [VARIATIONS["late-answers"]]), ask))
    assert len(slept) == 2
