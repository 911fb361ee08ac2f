"""What two requests show of the same thing agrees: which members are compared, and which may be late or left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from kms_conformance.laws.agreements import Agreements
from kms_conformance.laws.entries import law_file
from kms_conformance.laws.snapshot import ObservedResource, ObservedValue
from kms_conformance.run.answer import Answer

KEY = ObservedResource("key", "one", {"key": "one"}, frozenset({"one"}))
METADATA = {"id": "one", "state": 5, "deleted": True, "aliases": ["a"], "keyRingID": "blue"}


class Success:
    """An answer that was a success."""

    ok = True


def stated(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return what an entry of a list must show of a key, and how many seconds late, by the paths of its members."""
    answer = cast("Answer", Success())
    seen = {
        (KEY, 0): ObservedValue(answer, "resources.0", METADATA),
        (KEY, 2): ObservedValue(answer, "resources.7", entry, whole="resources"),
    }
    agreements = Agreements(law_file("key_protect", "effects"))
    return {member.path: late for one, _, late in agreements.of(seen) for member in one.members}


def test_members_that_both_show_agree() -> None:
    """What both show is compared, aliases and the ring after the time that the sources give them."""
    assert stated(METADATA) == {
        "resources.7.id": 0,
        "resources.7.state": 0,
        "resources.7.deleted": 0,
        "resources.7.aliases": 300,
        "resources.7.keyRingID": 600,
    }


def test_a_member_that_one_leaves_out_is_not_compared() -> None:
    """An entry need not show whether its key is deleted, nor anything else that it does not show."""
    assert stated({"id": "one", "state": 2, "deleted": None}) == {"resources.7.id": 0, "resources.7.state": 0}
