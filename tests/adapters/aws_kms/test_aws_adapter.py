"""The adapter of AWS KMS: what is signed, what is cleaned up, and what a target has to say."""

from __future__ import annotations

import base64
import builtins
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

sys.path.append(str(Path(__file__).parent))

from fake_kms import Keys, serving
from runs import run_cases

from kms_conformance.adapters import aws_kms
from kms_conformance.adapters.aws_kms.adapter import AwsKms
from kms_conformance.adapters.aws_kms.material import Parameters, wrapped
from kms_conformance.adapters.aws_kms.signing import MissingAccessKeyError, sign
from kms_conformance.doctor.surroundings import of_lingering
from kms_conformance.errors import BadValueError, MissingExtraError
from kms_conformance.judging.verdict import Profile
from kms_conformance.outputs import repro
from kms_conformance.run.case import CaseRun
from kms_conformance.run.cleanup import put_right
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.journal import JournalEntry
from kms_conformance.run.options import Options
from kms_conformance.run.outcomes import Inconclusive
from kms_conformance.run.session import Session
from kms_conformance.target.target import Target, build_target
from kms_conformance.transport.authorization import FinalRequest

CASES = "kms_conformance.scenarios.aws_kms.test_keys"
ACCESS_KEY, SECRET_KEY = "AKIDTHROWAWAYOFTHISTEST", "a-secret-access-key-of-this-test-only"


def target_of(url: str, **identity: str) -> Target:
    """Return a target with an access key."""
    members = identity or {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
    return build_target(
        {
            "base_url": url,
            "contract": "aws_kms",
            "identities": {"principal": members},
            "aws_kms": {"base_url": url, "region": "eu-west-1"},
            "allow": {"aws_litter": True},
        },
        {},
    )


@pytest.fixture
def server() -> Iterator[Keys]:
    """Yield a server."""
    with serving() as server:
        yield server


@pytest.fixture
def aws(server: Keys, tmp_path: Path) -> Iterator[AwsKms]:
    """Yield the adapter of a case under way."""
    session = Session(Options(contracts=("aws_kms",), journal=tmp_path / "journal"), target_of(server.url))
    context = session.context("aws_kms")
    yield AwsKms(CaseRun(context, CaseInfo("tests.case", "A case", "aws_kms", ("round-trip",)), ""))
    session.close()


def test_requests_are_signed(aws: AwsKms, server: Keys) -> None:
    """The signature is the vendor's, over the bytes that leave, for the region of the target."""
    aws.call("DescribeKey", KeyId="k\u00e9y").not_judged()
    _, _, headers = server.seen[0]
    names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert names == ["content-type", "host", "x-amz-date", "x-amz-target"]
    covered = {name: headers[name] for name in names}
    request = AWSRequest("POST", server.url + "/", headers=covered, data=headers["body"].encode())
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "kms", "eu-west-1")
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert headers["authorization"].endswith(f"Signature={signature}")


def test_evidence_holds_no_key(aws: AwsKms) -> None:
    """Neither the secret nor a signature reaches the evidence; a shell line signs anew."""
    aws.call("DescribeKey", KeyId="a").not_judged()
    shown = str(aws.case.exchanges)
    assert SECRET_KEY not in shown
    assert ACCESS_KEY not in shown
    assert "Signature=" not in shown


def test_keys_are_cleaned_up(aws: AwsKms, server: Keys) -> None:
    """What a case makes is scheduled for deletion, its aliases are deleted, and the journal is empty."""
    key = aws.key()
    aws.alias_of(key)
    aws.case.finish()
    assert server.keys[key]["KeyState"] == "PendingDeletion"
    assert server.aliases == {}
    assert aws.case.context.journal.own(server.url) == []


def test_what_a_killed_run_has_left(aws: AwsKms, server: Keys) -> None:
    """A key is found by its id, or by the description that only one request gives; one that is gone is no trouble."""
    by_id, by_name = aws.key(), server.create("kmsct-lost")["KeyId"]
    other = server.create("somebody's")["KeyId"]
    journal = aws.case.context.journal
    journal.intend(server.url, "", "aws_kms:key", "kmsct-lost")
    left = [(aws.case.context, entry) for entry in journal.own(server.url)]
    assert put_right(left) == []
    assert {server.keys[key]["KeyState"] for key in (by_id, by_name)} == {"PendingDeletion"}
    assert server.keys[other]["KeyState"] == "Enabled"
    gone = JournalEntry(1, "r", server.url, "", "key", "n", "no-such-key", "created", 0.0, "")
    assert aws.undo(gone)
    assert aws.undo(JournalEntry(1, "r", server.url, "", "alias", "alias/none", "", "created", 0.0, ""))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without botocore one sentence says what to install."""
    real: Callable[..., Any] = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("botocore"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    # An earlier test may have loaded the module that needs botocore.
    monkeypatch.delitem(sys.modules, "kms_conformance.adapters.aws_kms.sigv4", raising=False)
    monkeypatch.delattr(aws_kms, "sigv4", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    target = target_of("http://127.0.0.1:9")
    request = FinalRequest("POST", "http://127.0.0.1:9/", {}, b"{}")
    with pytest.raises(MissingExtraError) as caught:
        sign(request, target.identities["principal"], target)
    assert "kms-conformance[aws]" in caught.value.hint


def test_without_a_secret() -> None:
    """An identity with half an access key is refused by what it lacks; a session token is signed."""
    request = FinalRequest("POST", "http://127.0.0.1:9/", {"host": "127.0.0.1:9"}, b"{}")
    half = target_of("http://127.0.0.1:9", access_key_id=ACCESS_KEY)
    with pytest.raises(MissingAccessKeyError, match="secret_access_key"):
        sign(request, half.identities["principal"], half)
    whole = target_of(
        "http://127.0.0.1:9",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        session_token="a-session",
    )
    headers = sign(request, whole.identities["principal"], whole)
    assert headers["x-amz-security-token"] == "a-session"
    assert "x-amz-security-token" in headers["authorization"]


def test_nothing_experimental_is_certified() -> None:
    """A certification does not take an experimental contract."""
    with pytest.raises(BadValueError, match="certifies nothing"):
        Options(profile=Profile.CERTIFY, contracts=("key_protect", "aws_kms"))
    assert Options(contracts=("aws_kms",)).contracts == ("aws_kms",)


def test_material_is_wrapped() -> None:
    """Material is encrypted for the public key of the token; what is no key stops the case."""
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    parameters = Parameters("token", base64.b64encode(public).decode())
    sealed = base64.b64decode(wrapped(parameters, base64.b64encode(b"x" * 32).decode()))
    assert private.decrypt(sealed, OAEP(MGF1(SHA256()), SHA256(), None)) == b"x" * 32
    with pytest.raises(Inconclusive, match="no public key"):
        wrapped(Parameters("token", "AAAA"), "AAAA")


def test_statements_about_what_reports_hide(aws: AwsKms, server: Keys) -> None:
    """The size of a hidden member, and a policy whatever its form, are judged; each can fail."""
    server.answer = lambda *_: (200, {"Plaintext": "QUJD", "Policy": '{"a": 1, "b": 2}'})  # type: ignore[method-assign]
    answer = aws.call("Decrypt")
    aws.has_size(answer, 3)
    aws.same_policy(answer, '{"b":2,"a":1}')
    assert aws.case.findings == []
    for statement in (
        lambda: aws.has_size(answer, 4),
        lambda: aws.same_policy(answer, '{"b":2}'),
        lambda: aws.same_policy(answer, "no JSON"),
    ):
        with pytest.raises(BaseException, match="round-trip"):
            statement()


def test_lists(aws: AwsKms, server: Keys) -> None:
    """What was made stands in the pages of a list once; what is left out or repeated fails."""
    one, two = aws.key(), aws.key()
    aws.lists_each_once("ListKeys", "Keys", "KeyId", [two, one])
    with pytest.raises(BaseException, match="round-trip"):
        aws.lists_each_once("ListKeys", "Keys", "KeyId", [one, "left-out"])
    entry = {"KeyId": one, "KeyArn": "arn:x"}
    server.answer = lambda *_: (200, {"Keys": [entry, entry], "Truncated": False})  # type: ignore[method-assign]
    with pytest.raises(BaseException, match="round-trip"):
        aws.lists_each_once("ListKeys", "Keys", "KeyId", [one])


def test_reproduction_of_signed_requests(server: Keys, tmp_path: Path) -> None:
    """A script sends signed requests again, unsigned or with the header that its reader makes."""
    run = run_cases(
        target_of(server.url), "-k", "repeats and Disabled", "--pyargs", place=CASES, contracts=("aws_kms",)
    )
    ((name, text),) = repro.render(run).items()
    assert name == "aws_kms.keys.repeats[DisableKey-Disabled].py"
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")
    for given in ({}, {"KMS_AUTHORIZATION": "by its reader"}):
        server.seen.clear()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("KMS_")}
        ended = subprocess.run(
            [sys.executable, str(script)],
            env={**environ, "KMS_BASE_URL": server.url, **given},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert len(server.seen) > 3
        sent = {headers.get("authorization") for _, _, headers in server.seen}
        assert sent == {given.get("KMS_AUTHORIZATION")}
        assert "x-amz-date" not in server.seen[0][2]


def test_what_remains_is_told(tmp_path: Path) -> None:
    """Keys whose deletion is scheduled stay for seven days: the journal knows how many, and no request is sent."""
    url, journal = "http://127.0.0.1:9", tmp_path / "journal.sqlite"
    session = Session(
        Options(contracts=("aws_kms",), journal=journal),
        target_of(url, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY),
    )
    try:
        assert session.lingering() == {}
        earlier = session.context("aws_kms").journal
        for name, made in (("one", True), ("two", True), ("never made", False)):
            row = earlier.intend(url, "", "aws_kms:key", name)
            if made:
                earlier.created(row, f"id of {name}")
            earlier.gone(row)
        (finding,) = of_lingering(session.lingering())
    finally:
        session.close()
    assert finding.symptom == "2 of kind aws_kms:key made by earlier runs wait for their deletion"
