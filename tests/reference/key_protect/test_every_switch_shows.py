"""Each defect and each variation of Key Protect changes something that a probe of everything sees."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from kms_reference.defects import LAW_OF, SYSTEM_DEFECTS
from kms_reference.key_protect import rsa_pairs
from kms_reference.key_protect.defects.laws_reported import REPORTED_DEFECTS
from kms_reference.key_protect.defects.laws_reported_answers import ANSWER_DEFECTS
from kms_reference.key_protect.defects.laws_reported_names import NAME_DEFECTS
from kms_reference.key_protect.defects.paths import PATH_DEFECTS
from kms_reference.key_protect.defects.reported_laws import BY_LAW
from kms_reference.key_protect.defects.reported_states import STATE_DEFECTS
from kms_reference.key_protect.defects.reported_times import LAPSE_DEFECTS
from kms_reference.key_protect.defects.reported_uses import USE_DEFECTS
from kms_reference.key_protect.defects.stored import STORED_DEFECTS
from kms_reference.rules import Rules
from kms_reference.variations import SYSTEM_VARIATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

from key_protect_probe import Same, probe

DEFECTS = SYSTEM_DEFECTS["key_protect"]
REPORTED = (
    *REPORTED_DEFECTS,
    *LAPSE_DEFECTS,
    *NAME_DEFECTS,
    *ANSWER_DEFECTS,
    *STATE_DEFECTS,
    *USE_DEFECTS,
    *BY_LAW[""],
)
ONLY_IN_CASES = {*LAW_OF, *(defect.name for defect in (*PATH_DEFECTS, *STORED_DEFECTS, *REPORTED))}
"""They need sequences of their own, which the cases are; the kill matrix proves that each of them shows."""
SHARES = 4
"""The defects are told in so many tests, so that several processes can share them."""


@pytest.fixture(scope="module", autouse=True)
def pairs() -> Iterator[None]:
    """Hand out three pairs in turn: their number does not matter here, their making takes long."""
    pool = rsa_pairs.PairPool()
    made: list[rsa_pairs.Pair] = []
    for _ in range(3):
        future: Future[rsa_pairs.Pair] = Future()
        pool.request(future)
        made.append(future.result(30))
    patch = pytest.MonkeyPatch()

    def give(_: rsa_pairs.PairPool, future: Future[rsa_pairs.Pair]) -> None:
        made.append(made.pop(0))
        future.set_result(made[-1])

    patch.setattr(rsa_pairs.PairPool, "request", give)
    patch.setattr(rsa_pairs.PairPool, "warm_up", lambda _: None)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def plain() -> list[list[Any]]:
    """Return what the probe sees when nothing is switched on; twice, to know that it sees the same."""
    first = asyncio.run(probe(Rules()))
    assert asyncio.run(probe(Rules())) == first
    return first


@pytest.mark.parametrize("share", range(SHARES))
def test_every_defect_shows(plain: list[list[Any]], share: int) -> None:
    """The probe sees another thing, and the reference itself does not fail."""
    names = [name for name in DEFECTS if name not in ONLY_IN_CASES][share::SHARES]
    assert names
    assert [name for name in names if not shows(Rules.of("page", [DEFECTS[name]], []), plain)] == []


def shows(rules: Rules, plain: list[list[Any]]) -> bool:
    """Tell whether the probe sees another thing under these rules."""
    try:
        asyncio.run(probe(rules, plain))
    except Same:
        return False
    return True


def codes(seen: list[list[Any]]) -> list[Any]:
    """Return requests, statuses and codes only."""
    requests = [one for part in seen for one in part if isinstance(one, tuple) and len(one) == 7]
    return [(*one[:4], re.findall(r'"code": ?"(\w+)"', one[6])) for one in requests]


# What these are about is a status or a code.
OTHER_STATUS = (
    "unauthorized-with-reason",
    "unreadable-bearer-401",
    "destroyed-key-is-gone",
    "purge-200",
    "alias-200",
    "codes-of-its-own",
    "allowed-ip-not-enabled",
)
OTHER_STATUS += ("control-characters-stopped", "gateway-now-and-then")
OTHER_STATUS += (
    "rate-limited-now-and-then",
    "head-like-get",
    "router-before-authentication",
    "ids-in-any-case",
)
OTHER_STATUS += ("expiry-half-an-hour-late", "restore-ignores-material", "active-kmip-object-needs-force")
OTHER_STATUS += ("removed-aliases-lead-on", "moved-keys-found-in-both-rings", "registered-with-200")
# The last ones spell codes otherwise, and add one.
OTHER_STATUS += ("conflicts-as-400", "used-up-token-is-gone", "json-by-numbers", "more-in-envelopes")
IN_SEQUENCES = {
    "auto-purge-a-day-late",
    "body-read-first",
    "ciphertext-before-state",
    "fifty-rings-at-most",
    "hour-of-manual-rotations",
    "ids-of-time",
    "instance-before-token",
    "late-answers",
    "lists-backward",
    "minimal-creation",
    "policy-rotates-late",
    "rings-page-of-51",
    "state-before-dual-authorisation",
    "uses-before-authorisations",
    "wait-from-last-change",
}
"""They need sequences of their own: `test_free_variations.py` shows each of them."""


def test_every_variation_shows(plain: list[list[Any]]) -> None:
    """Lawful differences show, and leave statuses and codes alone apart from those that are about them."""
    codes_of_plain = codes(plain)
    for name, variation in SYSTEM_VARIATIONS["key_protect"].items():
        seen = asyncio.run(probe(Rules.of("page", [], [variation])))
        assert (seen != plain) == (name not in IN_SEQUENCES), name
        assert (codes(seen) == codes_of_plain) == (name not in OTHER_STATUS), name
