"""What a case makes anew stands for what it had made in the recorded run."""

from __future__ import annotations

import pytest

from kms_conformance.verification.alignment import Alignment, BoundError

EAST, UTC_SECOND = "2026-12-29T22:18:42+02:00", "2026-12-29T20:18:42Z"
LATER, UTC_LATER = "2026-12-29T22:18:43+02:00", "2026-12-29T20:18:43Z"


def test_a_moment_in_another_zone() -> None:
    """A time that was sent with an offset is known again where an answer shows it in UTC, and may stand for no other."""
    alignment = Alignment()
    alignment.demand({"at": LATER}, {"at": EAST}, "the body")
    assert alignment.as_anew({"expirationDate": UTC_SECOND}) == {"expirationDate": UTC_LATER}
    with pytest.raises(BoundError, match="another value than before"):
        alignment.demand(UTC_LATER, "2026-12-29T20:18:44Z", "the next body")


def test_an_answer_stands_for_itself() -> None:
    """A time that an answer has shown before is what it is, also in UTC."""
    alignment = Alignment()
    alignment.know({"creationDate": UTC_SECOND})
    alignment.demand(LATER, EAST, "the body")
    assert alignment.as_anew(UTC_SECOND) == UTC_SECOND
