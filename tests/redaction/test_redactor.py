"""The redactor: by structure first, then every known secret wherever it stands; equal secrets, equal tokens."""

from __future__ import annotations

import base64
import re
import string
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kms_conformance.contract.contract import load_contract
from kms_conformance.errors import veiled
from kms_conformance.redaction.redactor import Redactor, Secret, describe

TOKEN = re.compile(r"<\w+:[0-9a-f]{12}>")
ABOUT = load_contract("key_protect").about
MATERIAL = st.binary(min_size=16, max_size=48).map(lambda raw: base64.b64encode(raw).decode())
GLUE = st.text(st.characters(codec="utf-8", exclude_characters="<>"), max_size=12)
# Enough to tell a leak from chance: nobody guesses eight characters of base64.
PART = 8


def redactor() -> Redactor:
    """Return a redactor as a run has it."""
    return Redactor(
        ABOUT["secrets"], ABOUT["public"], ABOUT["public_headers"], ABOUT["sealed"], key=b"k" * 32
    )


def text(document: Any) -> str:
    """Return everything that a document would show."""
    return repr(document)


def spelled(secret: str) -> list[str]:
    """Return the spellings of a secret that are asked of a careless server."""
    raw = base64.b64decode(secret)
    return [
        secret,
        secret.rstrip("="),
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        raw.hex(),
        raw.hex().upper(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(secret.encode()).decode(),
        secret.encode().hex(),
        base64.b64encode(b"payload=" + raw + b"; more").decode(),
        base64.b64encode(b"x" + secret.encode()).decode(),
    ]


@given(MATERIAL, GLUE, GLUE, st.integers(0, 10))
@example("AAAAAAAAAAAAAAAAABECDQ==", "%", "", 0)  # the sign and two of its letters look like an escape
def test_known_secret_is_found_everywhere(secret: str, before: str, after: str, spelling: int) -> None:
    """A known secret is replaced in every spelling, alone or glued, in values, names, headers and header names."""
    assume(len(set(secret)) > 6)
    redact = redactor()
    token = redact.remember(secret, "payload")
    form = spelled(secret)[spelling]
    glued = f"{before}{form}{after}"
    shown = redact.scrub(glued)
    assert form not in shown
    assert token in shown
    reply = {
        "message": glued,
        "unheardOf": [glued, {"deep": form}],
        form: 1,
        "resources": [{"id": form, "tags": [glued]}],
    }
    redacted = text(redact.reply(reply)) + text(
        redact.headers([("x-debug", glued), ("server", form), (f"x-{form}", "1")])
    )
    core = form[4:-6]
    assert len(core) < PART or core not in redacted
    assert form.lower() not in redacted.lower()


@given(
    st.recursive(
        st.text(min_size=1, max_size=20),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=8,
    )
)
@example({"A\N{MIDDLE DOT}": "0"})  # an identifier of Python, but no word
def test_unknown_members_show_nothing(value: Any) -> None:
    """A string that stands under no public name does not appear, known or not."""
    shown = redactor().reply({"unheardOf": value})

    def leaves(document: Any, name: str) -> list[str]:
        if isinstance(document, dict):
            return [leaf for key, inner in document.items() for leaf in leaves(inner, key)]
        if isinstance(document, list):
            return [leaf for inner in document for leaf in leaves(inner, name)]
        return [document] if name not in ABOUT["public"] else []

    assert all(TOKEN.fullmatch(leaf) for leaf in leaves(shown, ""))


@given(MATERIAL, MATERIAL)
def test_tokens_stand_for_values(one: str, other: str) -> None:
    """Equal secrets have equal tokens under any name, others have others; another run has other tokens."""
    assume(one != other)
    redact = redactor()
    sent = redact.request({"payload": one, "more": [{"plaintext": one}, {"plaintext": other}]})
    got = redact.reply({"plaintext": one, "ciphertext": other})
    assert sent["payload"] == sent["more"][0]["plaintext"] == got["plaintext"] != got["ciphertext"]
    assert Redactor(ABOUT["secrets"]).request({"payload": one}) != {"payload": sent["payload"]}


@settings(max_examples=50)
@given(st.text(string.ascii_letters + " .,:`'()", max_size=80))
def test_ordinary_text_is_left_alone(words: str) -> None:
    """Text without any secret stays as it is."""
    redact = redactor()
    redact.remember("MDEyMzQ1Njc4OWFiY2RlZg==", "payload")
    assert redact.scrub(words) == words


@pytest.mark.parametrize("length", [20, 24, 40])
def test_piece_of_a_secret(length: int) -> None:
    """A truncated secret is replaced too, by a token that claims no echo."""
    redact = redactor()
    secret = base64.b64encode(bytes(range(64, 96))).decode()
    token = redact.remember(secret, "payload")
    shown = redact.scrub(f"we got {secret[:length]}...")
    assert secret[:16] not in shown
    assert token not in shown


def test_a_reply_that_names_its_secret_later() -> None:
    """A text above repeats a secret that the same reply holds below."""
    redact = redactor()
    secret = base64.b64encode(b"sixteen or more bytes").decode()
    shown = redact.reply({"errorMsg": f"your key is {secret}", "resources": [{"payload": secret}]})
    assert secret not in text(shown)


def test_labels_and_names_hold_no_secret() -> None:
    """What looks like a secret does not get out as a member's name or as the label of a token."""
    unseen = "deadbeef0123456789abcdef01234567"
    shown = redactor().reply({unseen: "value", "ok": {unseen: ["a", {"b": "c"}]}})
    assert unseen not in text(shown)
    assert unseen[:12] not in text(shown)


def test_echo_is_told_by_its_token() -> None:
    """An echo in a header, in an unheard-of member or glued to text shows the secret's own token."""
    redact = redactor()
    token = redact.remember("a.token.that-is-secret", "token")
    shown = redact.reply({"unheardOf": "you sent a.token.that-is-secret!"})
    assert token in shown["unheardOf"]
    assert token in redact.headers([("x-echo", "Bearer a.token.that-is-secret")])["x-echo"]
    assert redact.tokens_in("<p>a.token.that-is-secret</p>") == (token,)


def test_harmless_values_are_shown() -> None:
    """What a case declares harmless is shown, in request and reply."""
    redact = redactor()
    redact.allow("no base64!")
    assert redact.request({"plaintext": "no base64!"}) == {"plaintext": "no base64!"}
    assert redact.reply({"message": "no base64!", "x": "no base64!"})["x"] == "no base64!"


def test_empty_value_is_no_secret() -> None:
    """An empty secret member does not make every other empty value a secret."""
    guard = redactor()
    assert guard.remember("", "ciphertext") == ""
    assert guard.scrub("") == ""


def test_public_members_are_shown() -> None:
    """Ids, names, states, codes, messages and dates are shown: without them no evidence could be read."""
    reply = {
        "metadata": {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 1},
        "resources": [{"id": "0f0f", "name": "kmsct-key", "state": 1, "imported": True, "deleted": None}],
    }
    assert redactor().reply(reply) == reply


def test_secret_does_not_show_itself() -> None:
    """A secret is text to every client, and nothing to a traceback."""
    secret = Secret("abcdef")
    assert (repr(secret), str(secret), f"{[secret]}", secret == "abcdef") == (
        "<secret>",
        "abcdef",
        "[<secret>]",
        True,
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!doctype html><p>x", "an HTML page of 19 bytes"),
        (b"{ no", "4 bytes that begin like JSON but are not"),
        (b"\xff\xfe\x00", "3 bytes that are no text"),
        (b"hello", "5 bytes of plain text"),
    ],
)
def test_describe(body: bytes, kind: str) -> None:
    """A body that is not JSON is told in a few words that repeat none of it."""
    assert describe(body, {}) == kind


@pytest.mark.parametrize(
    "typed",
    [
        "kms.example.test",
        "https://us-south.kms.cloud.ibm.com:8443/some-prefix/v2",
        "https://7f1d1c4e-0000-4000-8000-000000000000.api.us-south.hs-crypto.appdomain.cloud",
        "7f1d1c4e-0000-4000-8000-000000000000",
        "7f1d1c4e-0000-4000-8000-00000000000",
        "/home/somebody/kms-conformance/target-of-production.toml",
        "C:\\Users\\Somebody\\target.toml",
        "KMS_APPROVER_API_KEY",
        "KEY_ACTION_INVALID_STATE_ERR",
        "key_protect.wrapping.unwrap_with_another_version",
        "crn:v1:bluemix:public:kms:us-south",
        "<text:0123456789ab>",
        "[Errno 111] Connection refused",
    ],
)
def test_what_a_user_typed_is_shown(typed: str) -> None:
    """Addresses, paths, names and ids are shown: without them nobody would find the mistake."""
    assert veiled(typed) == typed


@given(st.binary(min_size=24, max_size=60), st.sampled_from(["hex", "b64", "url"]))
def test_what_may_be_a_secret_is_veiled(raw: bytes, spelling: str) -> None:
    """Random letters and digits are not, whatever they stand for."""
    assume(len(set(raw)) > 16)
    text = {
        "hex": raw.hex(),
        "b64": base64.b64encode(raw).decode().replace("/", "+"),
        "url": base64.urlsafe_b64encode(raw).decode(),
    }[spelling]
    assume(any(sign.isdigit() for sign in text))
    assert veiled(f"it is '{text}'.") == "it is '…'."


def test_systems_of_a_run_share_secrets() -> None:
    """What one system of a run has learned, the redactor of another knows; each has its own names."""
    one = redactor()
    other = Redactor(["material"], ["answer"], key=one.key, shares_with=one)
    token = one.remember("c2l4dGVlbiBieXRlcyBvZiBpdA==", "payload")
    assert other.scrub("it is c2l4dGVlbiBieXRlcyBvZiBpdA==") == f"it is {token}"
    assert (
        one.scrub(f"now {other.request({'material': 'another-secret'})['material']}") != "now another-secret"
    )
    assert one.scrub("another-secret") == other.scrub("another-secret") != "another-secret"
