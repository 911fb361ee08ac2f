"""Redacted exchanges of Key Protect as histories of the model: what fits an order, what does not, and why."""

from __future__ import annotations

from typing import Any

from kms_conformance.adapters.key_protect.laws.histories import complaint, history
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.histories import TimedExchange
from kms_conformance.laws.linearizability import Fit

KEY = "11111111-1111-4111-8111-111111111111"
NEWER = "22222222-2222-4222-8222-222222222222"
BEGIN = 1_800_000_000.0
VALUE = {"edition": "page"}
TYPE = "application/vnd.ibm.kms.key+json"


def asked(  # noqa: PLR0917 - the columns of a history
    operation: str, path: str, status: int, sent: float, lasted: float, answer: Any = None, **more: Any
) -> TimedExchange:
    """Return an exchange: sent and lasted are in milliseconds."""
    method = {"get": "GET", "del": "DELETE", "lis": "GET"}.get(operation[:3], "POST")
    headers = {} if "ring" not in more else {"x-kms-key-ring": more["ring"]}
    return TimedExchange(
        Exchange(
            id=f"x{sent:g}",
            case="a case",
            step=operation,
            operation=operation,
            identity=more.get("identity", "manager"),
            sent=Sent(
                method, f"http://kms.example/api/v2{path}", f"/api/v2{path}", headers, more.get("body")
            ),
            answer=None
            if status == 0
            else Received(status, {}, answer, is_json=answer is not None, code=more.get("code")),
            started=BEGIN + sent / 1000,
            duration=lasted / 1000,
        ),
        ahead=0.0,
    )


def resource(**members: Any) -> dict[str, Any]:
    """Return a reply that holds the key."""
    shown = {"type": TYPE, "id": KEY, "name": "a key", "state": 1, "extractable": False, "imported": False}
    shown |= {"deleted": False, "crn": f"crn:v1:key:{KEY}", "creationDate": "2027-01-15T08:00:00Z"}
    shown |= {"keyVersion": {"id": KEY}}
    return {"metadata": {"collectionTotal": 1}, "resources": [{**shown, **members}]}


def made() -> TimedExchange:
    """Return the creation of the key."""
    described = {"type": TYPE, "name": "a key", "extractable": False}
    body = {"metadata": {"collectionType": TYPE, "collectionTotal": 1}, "resources": [described]}
    return asked("createKey", "/keys", 201, 0, 1, resource(), body=body)


def act(name: str, sent: float, lasted: float, status: int = 204, code: str = "") -> TimedExchange:
    """Return an action on the key."""
    answer = {"resources": [{"reasons": [{"code": code}]}]} if code else None
    return asked(f"{name}Key", f"/keys/{KEY}/actions/{name}", status, sent, lasted, answer, code=code or None)


def look(sent: float, **members: Any) -> TimedExchange:
    """Return a reading of the key."""
    return asked("getKeyMetadata", f"/keys/{KEY}/metadata", 200, sent, 1, resource(**members))


ROTATED = {"keyVersion": {"id": NEWER}, "lastRotateDate": "2027-01-15T08:00:00Z"}


def test_a_disabling_that_a_rotation_undoes_fits_no_order() -> None:
    """Both were answered with a success, and the key is active: the complaint names the member."""
    seen = [made(), act("rotate", 10, 50), act("disable", 20, 5), look(70, state=1, **ROTATED)]
    message = complaint(seen, VALUE)
    assert message is not None
    assert "after createKey, rotateKey, disableKey: getKeyMetadata answered 200" in message
    assert "state" in message
    assert complaint([*seen[:3], look(70, state=2, **ROTATED)], VALUE) is None


def test_the_order_of_answers_counts() -> None:
    """A disabled key is not rotated, so that a rotation may come first only where it was asked before the answer."""
    refused = act("rotate", 10, 50, 409, "KEY_ACTION_INVALID_STATE_ERR")
    assert complaint([made(), refused, act("disable", 20, 5), look(70, state=2)], VALUE) is None
    assert complaint([made(), act("rotate", 30, 5), act("disable", 20, 5)], VALUE) is not None
    assert complaint([made(), act("rotate", 24, 5), act("disable", 20, 5)], VALUE) is None


def test_the_shortest_history_leaves_out_what_does_not_matter() -> None:
    """Readings and refusals are dropped, and what comes later; two rotations in an hour stay."""
    often = act("rotate", 60, 5, 409, "KEY_ROTATION_NOT_PERMITTED")
    seen = [made(), look(5), act("rotate", 10, 30), act("rotate", 20, 30), often, look(80, **ROTATED)]
    recorded = history(seen, VALUE)
    assert recorded.fit(5) is Fit.VIOLATES
    assert [one.exchange.id for one in recorded.shortest()] == ["x0", "x10", "x20"]


def test_an_answer_that_tells_nothing_may_have_done_it_or_not() -> None:
    """After silence, or from a gateway, the key may be disabled or not; an error of the service is an answer."""
    for lost in (act("disable", 10, 5, 503), act("disable", 10, 5, 0), act("disable", 10, 5, 429)):
        for state in (1, 2):
            assert complaint([made(), lost, look(20, state=state)], VALUE) is None
    gone = [made(), act("disable", 10, 5, 503), look(20, state=2), look(30, state=1)]
    assert complaint(gone, VALUE) is not None
    assert complaint([made(), act("disable", 10, 5, 500)], VALUE) is not None


def test_secrets_are_compared_by_their_tokens() -> None:
    """A ciphertext opens to the token of what was wrapped; another token is another plaintext."""
    version = {"keyVersion": {"id": KEY}}
    plain, text, other = "<plaintext:0123456789ab>", "<ciphertext:0123456789ab>", "<plaintext:ba9876543210>"
    wrapped = asked("wrapKey", f"/keys/{KEY}/actions/wrap", 200, 10, 1, {"ciphertext": text, **version},
                    body={"plaintext": plain})  # fmt: skip

    def opened(shown: str) -> TimedExchange:
        answer = {"plaintext": shown, **version}
        return asked(
            "unwrapKey", f"/keys/{KEY}/actions/unwrap", 200, 20, 1, answer, body={"ciphertext": text}
        )

    assert complaint([made(), wrapped, opened(plain)], VALUE) is None
    assert complaint([made(), wrapped, opened(other)], VALUE) is not None


def test_rings_of_others_do_not_count() -> None:
    """On a shared instance a list holds what others have made; our own ring must be there."""
    opened = asked("createKeyRing", "/key_rings/ours", 201, 0, 1)

    def listed(*names: str) -> TimedExchange:
        entries = [
            {"id": "default"},
            *({"id": name, "creationDate": "2027-01-15T08:00:00Z"} for name in names),
        ]
        body = {"metadata": {"collectionTotal": len(entries)}, "resources": entries}
        return asked("listKeyRings", "/key_rings?limit=5000", 200, 10, 1, body)

    assert complaint([opened, listed("theirs", "ours")], VALUE) is None
    assert complaint([opened, listed("theirs")], VALUE) is not None


def test_the_shortest_history_keeps_what_made_a_ciphertext() -> None:
    """Wrapping changes nothing, but without it nobody knows that the ciphertext has to open."""
    wrapped = {"ciphertext": "Y2lwaGVydGV4dA==", "keyVersion": {"id": KEY}}
    plain = {"plaintext": "AAAAAAAAAAAAAAAAAAAAAA=="}
    wrap = asked("wrapKey", f"/keys/{KEY}/actions/wrap", 200, 10, 30, wrapped, body=plain)
    opened = {"ciphertext": wrapped["ciphertext"]}
    answer = {"resources": [{"reasons": [{"code": "UNPROCESSABLE_CIPHERTEXT_ERR"}]}]}
    refused = asked(
        "unwrapKey",
        f"/keys/{KEY}/actions/unwrap",
        422,
        60,
        5,
        answer,
        body=opened,
        code="UNPROCESSABLE_CIPHERTEXT_ERR",
    )
    recorded = history([made(), wrap, act("rotate", 20, 5), refused], VALUE)
    assert recorded.fit(5) is Fit.VIOLATES
    left = recorded.shortest()
    assert "x10" in {one.exchange.id for one in left}
    assert complaint(left, VALUE) is not None
