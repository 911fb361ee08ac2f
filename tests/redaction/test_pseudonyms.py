"""Who and whose: pseudonyms in the form of what they stand for, equal for equal things, and in every output."""

from __future__ import annotations

import json
import re

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.redaction.pseudonyms import Pseudonyms
from kms_conformance.redaction.redactor import Redactor

ACCOUNT = "1f2d0beb16af37bfec3460feed8035b8"
CRN = f"crn:v1:bluemix:public:kms:us-south:a/{ACCOUNT}:7f1d1c4e-0000-4000-8000-000000000000:key:1"


def of(contract: str, key: bytes = b"k") -> Pseudonyms:
    """Return the pseudonyms of a contract."""
    return Pseudonyms(load_contract(contract).about["personal"], key)


@pytest.mark.parametrize("contract", ["key_protect", "hpcs_tke", "iks"])
@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("IBMid-255F49EDD1", r"IBMid-0000[0-9A-F]{6}"),
        (
            "iam-ServiceId-12345678-1234-1234-1234-123456789abc",
            r"iam-ServiceId-0000[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        ),
        (CRN, CRN.replace(ACCOUNT, "0000[0-9a-f]{28}")),
        (
            f"/registrations/crn%3Av1%3A%3Aa%2F{ACCOUNT}%3A",
            r"/registrations/crn%3Av1%3A%3Aa%2F0000[0-9a-f]{28}%3A",
        ),
        (
            "by jane.doe+x@mail.example.com, today",
            r"by 0000[0-9a-f]{4}\+[0-9a-f]{4}@pseudonym\.invalid, today",
        ),
    ],
)
def test_forms(contract: str, text: str, form: str) -> None:
    """A pseudonym has the form of what it stands for, and is no other the second time."""
    shown = of(contract).replace(text)
    assert re.fullmatch(form, shown), shown
    assert of(contract).replace(text) == shown
    assert of(contract).replace(shown) == shown
    assert of(contract, b"another run").replace(text) != shown


@pytest.mark.parametrize(
    "text",
    ["", "a@b", "IBMid-", "id 7f1d1c4e-0000-4000-8000-000000000000", "a/0123", "@covers(x)", "x" * 100_000],
)
def test_nobody_is_meant(text: str) -> None:
    """What tells nothing of anybody stays as it is."""
    assert of("key_protect").replace(text) == text


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("210987654321", "0000[0-9]{8}"),
        ("arn:aws:kms:eu-west-1:210987654321:key/1", "arn:aws:kms:eu-west-1:0000[0-9]{8}:key/1"),
        ("not arn%3Aaws%3Aiam%3A%3A210987654321%3Aroot", "not arn%3Aaws%3Aiam%3A%3A0000[0-9]{8}%3Aroot"),
    ],
)
def test_accounts_of_aws(text: str, form: str) -> None:
    """Numbers of accounts of AWS stand by themselves and in ARNs; those of documents and emulators are nobody's."""
    shown = of("aws_kms").replace(text)
    assert re.fullmatch(form, shown), shown
    assert of("aws_kms").replace(shown) == shown
    assert of("aws_kms").replace(text.replace("210987654321", "111122223333")) == text.replace(
        "210987654321", "111122223333"
    )


def test_replies_and_requests_show_the_same() -> None:
    """Evidence of a reply, of a request and of a text agree, so that what belongs together is still seen."""
    about = load_contract("key_protect").about
    redactor = Redactor(public=["createdBy", "crn"], personal=about["personal"])
    who, what = "IBMid-255F49EDD1", CRN
    reply = redactor.reply({"createdBy": who, "crn": what, "other": f"{who} {what}"})
    assert redactor.request({"createdBy": who, "crn": what}) == {
        "createdBy": reply["createdBy"],
        "crn": reply["crn"],
    }
    assert redactor.scrub(who) == reply["createdBy"]
    assert not {who, ACCOUNT} & set(re.findall(r"[\w-]+", json.dumps(reply)))


def test_a_long_text_costs_no_time_without_bound() -> None:
    """The patterns look at each place of a text a bounded number of times."""
    text = "a" * 1_000_000 + "." * 1_000_000 + "IBMid-" * 10
    assert of("key_protect").replace(text) == text


@pytest.mark.parametrize(
    ("pattern", "text", "shown"),
    [
        (r"(?<=id-)[0-9]{6}", "id-123456", r"id-0000[0-9]{2}"),
        (r"(?<=id-)?[0-9]{6}", "123456", r"0000[0-9]{2}"),
        (r"(?<=id-)x|[0-9]{6}", "123456", r"0000[0-9]{2}"),
        (r"[a-z]+@[a-z]+", "jane@home", r"0000[0-9a-f]{8}@pseudonym\.invalid"),
        (r"[a-z]+@[a-z]+|[0-9]{6}", "123456", r"0000[0-9]{2}"),
        (r"[a-z]+@?[0-9]{6}", "jane123456", r"0000[0-9a-f]{6}"),
        (r"\A[0-9]{6}\Z", "123456", r"0000[0-9]{2}"),
    ],
)
def test_patterns_of_every_form(pattern: str, text: str, shown: str) -> None:
    """A pattern that a plug-in brings is looked for, whether or not its form tells what stands in each match."""
    assert re.fullmatch(shown, Pseudonyms([pattern], b"k").replace(text))
