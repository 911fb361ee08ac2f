"""What a case makes anew stands for what it had made in the recorded run."""

from __future__ import annotations

import pytest

from kms_conformance.verification.alignment import Alignment, BoundError, DepartureError

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


def test_a_secret_of_another_case_inside_of_a_text() -> None:
    """Where another case has sent a text as a secret, its token stands in a path, for that text and no other."""
    alignment = Alignment()
    own, token = "a" * 91, "<text:77254cd08393>"
    alignment.demand(f"/keys/{own}/metadata", f"/keys/{token}/metadata", "the path")
    with pytest.raises(BoundError, match="another value than before"):
        alignment.demand(f"/keys/{own}/metadata", "/keys/<text:000000000000>/metadata", "the next path")
    with pytest.raises(DepartureError, match="instead of"):
        alignment.demand("/keys/short/metadata", f"/keys/{token}/metadata", "a path of a short name")
    with pytest.raises(DepartureError, match="instead of"):
        alignment.demand(f"/keys/{own}/metadata", f"/keys/{token}/policies", "another path")
