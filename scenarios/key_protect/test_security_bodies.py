"""Hostile bodies: large, deeply nested, with duplicate members, wrong media types or huge numbers."""

import json
import uuid

import pytest

from kms_conformance.api import covers

KEY = "application/vnd.ibm.kms.key+json"
WAY_OUT = ["1e400", "1" + "0" * 400, "9223372036854775808", "-1", "0.5", "1E2"]


def body_with(kms, **members):
    """Return the bytes of a create-key body whose members are given as JSON texts."""
    body = json.dumps(kms.key_body(kms.key_resource(**dict.fromkeys(members, "@"))))
    for name, text in members.items():
        body = body.replace(f'"{name}": "@"', f'"{name}": {text}')
    return body.encode()


@covers("security-large-body")
@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_large_body(kms, size):
    """A body larger than any key is refused without a server error."""
    kms.create_key().succeeds(201)
    kms.create_key(raw=body_with(kms, description=json.dumps("A" * size))).is_refused_somehow()


@covers("security-deep-body")
@pytest.mark.parametrize("depth", [200, 20_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_body(kms, depth, opening, closing):
    """A body nested deeper than any key is refused without a server error."""
    kms.create_key().succeeds(201)
    text = opening * depth + "1" + closing * depth
    kms.create_key(raw=body_with(kms, description=text)).is_refused_somehow()


@covers("security-doubled-member")
def test_doubled_member(kms):
    """A duplicate member is refused, or the key agrees with the answer."""
    kms.create_key().succeeds(201)
    raw = body_with(kms, extractable="false").replace(
        b'"extractable": false', b'"extractable": false, "extractable": true'
    )
    answer = kms.create_key(raw=raw)
    if answer.ok:
        answer.succeeds(201)
        made = answer["resources.0.extractable"]
        kms.get_metadata(answer["resources.0.id"]).succeeds(200).shows("resources.0.extractable", made)
    else:
        answer.is_refused_somehow()


@covers("security-huge-number")
@pytest.mark.parametrize("number", WAY_OUT)
def test_number_that_is_no_interval(kms, number):
    """A rotation interval that is not a valid number of months is refused."""
    key = kms.create_root_key()
    control = kms.put_policy(key, rotation={"interval_month": 3}).succeeds(200)
    body = json.dumps(
        kms.policy_body({"type": "application/vnd.ibm.kms.policy+json", "rotation": {"interval_month": "@"}})
    )
    raw = body.replace('"@"', number).encode()
    kind = "application/vnd.ibm.kms.policy+json"
    kms.request("PUT", f"/keys/{key}/policies", raw=raw, content_type=kind).is_refused_somehow(
        control=control
    )


@covers("security-huge-number")
@pytest.mark.parametrize(
    "date",
    [
        "99999-01-01T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "2030-02-30T00:00:00Z",
        "+292277026596-12-04T15:30:08Z",
    ],
)
def test_date_that_no_calendar_has(kms, date):
    """An expiration date that does not exist is refused."""
    kms.create_key(expirationDate=kms.later(86400)).succeeds(201)
    kms.create_key(expirationDate=date).is_refused_somehow()


@covers("security-content-type")
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/html",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ],
)
def test_body_under_another_name(kms, kind):
    """A JSON body under another media type is refused, or read as JSON."""
    key = kms.create_root_key()
    plaintext = kms.key_material()
    control = kms.wrap(key, plaintext).succeeds(200)
    answer = kms.request("POST", f"/keys/{key}/actions/wrap", {"plaintext": plaintext}, content_type=kind)
    if answer.ok:
        answer.succeeds(200).lacks("plaintext")
        kms.unwrap(key, answer["ciphertext"]).succeeds(200).shows("plaintext", plaintext)
    else:
        answer.is_refused_somehow(control=control)


@covers("security-other-instance")
def test_ciphertext_of_another_instance(kms):
    """A ciphertext of one instance cannot be unwrapped with a key of another instance."""
    key = kms.create_root_key()
    sealed = kms.wrap(key, kms.key_material()).succeeds(200)
    kms.unwrap(key, sealed["ciphertext"]).succeeds(200)
    there = kms.with_headers(bluemix_instance=str(uuid.uuid4()))
    there.unwrap(key, sealed["ciphertext"]).is_refused_somehow()
