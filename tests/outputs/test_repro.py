"""A reproduction sends the whole sequence again: it fails on the server that failed, and holds on a sound one."""

from __future__ import annotations

import ast
import base64
import json
import os
import subprocess
import sys
import tomllib
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kms_conformance.contract.schemas import SchemaFiles, load_schema
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.members import is_same
from kms_conformance.judging.results import Finding
from kms_conformance.outputs import repro
from kms_conformance.outputs.repro_checks import schema_complaint
from kms_conformance.outputs.repro_credentials import Credentials
from kms_conformance.outputs.repro_model import packed_model
from kms_conformance.outputs.repro_pages import NONE, REST, SLICE, of_page
from kms_conformance.outputs.repro_runtime import main
from kms_conformance.outputs.repro_sealing import aes_gcm, oaep
from kms_conformance.outputs.repro_sending import CouldNotRunError
from kms_conformance.outputs.repro_tries import moments
from kms_conformance.system import system_of
from kms_conformance.target.target import build_target
from kms_reference.target import target_text

if TYPE_CHECKING:
    from kms_reference.server import Server

# One of each kind: a refusal that does not come, a wrong status, text and member, a wait by the control protocol, another
# identity, another system.
SAMPLE = (
    "rotation-unlimited",
    "status-key-deleted-err",
    "two-keys-accepted",
    "message-not-dual-auth-err",
    "ciphertext-repeats",
    "limits-of-members-unchecked",
    "restore-window-from-creation",
    "iks-permission-in-wrong-group",
    # Two at once; material packed for an import token; a rule of every exchange; a schema; what the control protocol has
    # made; a statement about an entry of a list; a list that depends on dates; a body with a part of a secret.
    "rotation-race",
    "message-incorrect-nonce-err",
    "metadata-missing",
    "objects-of-first-state",
    "enabling-forgets-tags",
    "date-bound-left-out",
    "bad-ciphertext-unprocessable",
    # Zeros at the ends of a plaintext; what a law leaves open; a value that a sound server does not have; a second page.
    "last-zeros-lost",
    "alias-taken-in-all-instances",
    "wrap-counts-as-rotation",
    "certificates-without-offset",
    # What no order of two requests explains: judged by the model, which the script brings along.
    "two-rotations-within-the-hour",
    # Times in a pattern; frames for crypto units, with signatures, key parts and an exported key.
    "expiration-date-shifted",
    "tke-foreign-signer-counts",
    "tke-third-part-lost",
    # A ciphertext damaged on purpose; what a case asks again after a refusal; so many octets; a member that may be shown
    # empty; a piece of an id; a second key part because the first was taken; what a command makes of control points.
    "message-unprocessable-ciphertext-err",
    "rotation-policy-holds-enabling",
    "made-plaintext-of-16",
    "withdrawal-by-another-lost",
    "search-in-ids",
    "tke-unreadable-part-is-zeros",
    "tke-control-points-cut",
)


@pytest.fixture(scope="module", name="sound")
def sound_fixture() -> Iterator[object]:
    """Yield one sound server for all."""
    from kms_reference.server import Server  # noqa: PLC0415 - only these tests serve

    server = Server(edition="page", defects=[], variations=[]).start()
    yield server
    server.stop()


@pytest.mark.parametrize("name", SAMPLE)
def test_reproduction_tells_the_servers_apart(name: str, sound: object) -> None:
    """The script of a defect's first failing case ends with 1 on the broken and with 0 on the sound server."""
    from repros import defects, play  # noqa: PLC0415 - in tests/proof

    defect = next(row for row in defects() if row["name"] == name)
    played = play(defect, sound)  # type: ignore[arg-type]  # the fixture gives a server
    assert (played.broken, played.sound) == (1, 0), played.output


def test_what_cannot_be_sent_again_says_so(sound: Server) -> None:
    """A script of a request that no client sends ends with 2 and a sentence."""
    from cases import collected, run_cases  # noqa: PLC0415 - in tests/proof

    name = "key_protect.states.delete_twice"
    target = replace(build_target(tomllib.loads(target_text(sound)), {}), embedded=True)
    run = run_cases(target, {name: collected("key_protect")[name]}, "key_protect")
    (case,) = run.cases
    raw = tuple(replace(one, notes={**one.notes, "raw": "bytes"}) for one in case.exchanges)
    finding = Finding(case.requirements[0], Verdict.FAILED, "201", "409", raw[-1].id)
    broken = replace(case, verdict=Verdict.FAILED, exchanges=raw, findings=(finding,))
    (script,) = repro.render(replace(run, cases=(broken,))).values()
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-"],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (
        2,
        "could not be run: it sends a request that no client would send\n",
    )


def test_api_key_becomes_a_token(sound: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an API key and an issuer in the environment, a script asks for its token the way that its system has."""
    grant = system_of("key_protect").grant
    assert grant is not None
    monkeypatch.delenv("KMS_TOKEN", raising=False)
    monkeypatch.setenv("KMS_API_KEY", sound.api_keys["manager"])
    monkeypatch.setenv("KMS_IAM_URL", sound.iam_url)
    token = Credentials([grant.type, grant.member]).token("manager")
    assert token.count(".") == 2
    with pytest.raises(CouldNotRunError, match="set KMS_TOKEN"):
        Credentials([]).token("manager")


def test_a_page_follows_from_other_answers() -> None:
    """A page holds a slice of the whole list, or what no page before it has shown: as the lists are here, not in the record."""
    of = ["a", "b", "c", "d"]
    assert of_page(["c"], [of, ["a"], True], {"kind": SLICE, "start": 2}, [["d", "c", "b", "a"]]) == [
        of,
        ["b"],
        True,
    ]
    assert of_page(["c"], [of, ["a"], True], {"kind": SLICE, "start": 2}, [["d", "c", "x", "a"]]) is None
    seen = [["d"], ["b"], None]
    assert of_page(["c"], [of, ["a"], False], {"kind": REST, "last": False}, seen) == [of, ["c"], False]
    assert of_page(["c"], [of, ["a"], False], {"kind": REST, "last": True}, seen) == [of, ["a", "c"], False]
    assert of_page(["c"], [["a"], [], False], {"kind": NONE}, seen) == [["d", "b"], [], False]


def test_what_goes_wrong_breaks_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that stumbles ends with 2 and a sentence, never with the code of a broken promise."""
    assert main({"cannot": "", "base_url": "http://127.0.0.1:1", "instance": "", "steps": [{}]}) == 2
    assert "could not be run: KeyError" in capsys.readouterr().err


@pytest.mark.parametrize("size", [16, 24, 32])
def test_sealing_is_that_of_the_library(size: int) -> None:
    """What a script seals by itself, the library opens: AES-GCM of every key size, RSA-OAEP in each form of a key."""
    for length in (0, 5, 16, 40):
        key, iv, plain = os.urandom(size), os.urandom(12), os.urandom(length)
        assert aes_gcm(key, iv, plain) == AESGCM(key).encrypt(iv, plain, None)
    private, material = rsa.generate_private_key(65537, 2048), os.urandom(size)
    public = private.public_key()
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    for encoding in (Encoding.PEM, Encoding.DER):
        for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
            assert private.decrypt(oaep(material, public.public_bytes(encoding, form)), scheme) == material


def test_schemas_are_read_as_the_judge_reads_them() -> None:
    """A script finds the same documents in order as the judge does, whatever rule of a schema they break."""
    places = system_of("key_protect").schemas
    good = {
        "metadata": {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 1},
        "resources": [
            {"type": "application/vnd.ibm.kms.key+json", "id": str(uuid.uuid4()), "name": "a", "state": 1}
        ],
    }
    refusal = {
        "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
        "resources": [
            {"errorMsg": "Bad Request: no", "reasons": [{"code": "A", "message": "b", "status": 400}]}
        ],
    }
    schemas = {
        name: load_schema(name, places)
        for name in ("key-list", "error-envelope", "common", "key", "key-metadata", "key-full")
    }
    broken = 0
    for name, whole in (("key-list", good), ("error-envelope", refusal)):
        for changed in _spoiled(whole):
            is_refused = SchemaFiles(places).complaint(name, changed) is not None
            broken += is_refused
            assert bool(schema_complaint(name, changed, schemas)) is is_refused, changed
    assert broken > 20


def _spoiled(document: Any) -> Iterator[Any]:
    """Yield a document, and each with one member left out or replaced."""
    yield document
    if isinstance(document, dict):
        for name, value in document.items():
            yield {other: inner for other, inner in document.items() if other != name}
            for inner in (*_spoiled(value), None, True, -1, 1.5, "", "x", [], {}):
                yield {**document, name: inner}
    elif isinstance(document, list):
        for place, value in enumerate(document):
            for inner in _spoiled(value):
                yield [*document[:place], inner, *document[place + 1 :]]


def test_script_needs_only_the_standard_library() -> None:
    """What is pasted into each script imports nothing that Python does not bring."""
    tree = ast.parse(repro._runtime())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names
    assert all(name.partition(".")[0] in sys.stdlib_module_names for name in names)


def test_model_that_needs_only_python_is_brought_along() -> None:
    """The model of a contract that has one is read from the script alone; a contract without a model gives nothing."""
    packed = packed_model("key_protect")
    function, sources = json.loads(zlib.decompress(base64.b64decode("".join(packed))))
    assert function.partition(":")[0] in sources
    script = (
        "import sys; sys.meta_path.insert(0, BroughtModules(SOURCES)); import importlib;"
        " assert callable(getattr(importlib.import_module(MODULE), NAME))"
    )
    module, _, name = function.partition(":")
    text = f"{repro._runtime()}\nSOURCES, MODULE, NAME = {sources!r}, {module!r}, {name!r}\n{script}\n"
    command = [sys.executable, "-I", "-S", "-"]
    ended = subprocess.run(command, input=text, capture_output=True, check=False, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert packed_model("iks") == ()


@pytest.mark.parametrize(
    ("case_id", "name"),
    [
        ("a.b.c", "a.b.c.py"),
        ("a.b.c[x-y]", "a.b.c[x-y].py"),
        ("a.b.c[../x]", "a.b.c[.._x]-"),
    ],
)
def test_name_of_a_script(case_id: str, name: str) -> None:
    """A script has the name of its case, and never a path."""
    made = repro.file_name(case_id)
    assert made.startswith(name)
    assert "/" not in made


def test_numbers_are_what_they_are_worth() -> None:
    """2.0 is 2 for a script, too, and true is no number: in values, and in what schemas list."""
    assert is_same(2.0, 2)
    assert is_same(2, 2.0)
    assert not is_same(True, 1)
    assert not is_same("2", 2)
    schemas = {"a": {"enum": [2]}, "b": {"const": {"n": 2}}, "c": {"uniqueItems": True}}
    assert [schema_complaint("a", value, schemas) for value in (2, 2.0)] == ["", ""]
    assert schema_complaint("b", {"n": 2.0}, schemas) == ""
    assert schema_complaint("c", [2, 2.0], schemas)
    assert not schema_complaint("c", [1, True], schemas)


def test_each_comes_first_in_turn() -> None:
    """Requests of one moment are tried as in the record, then with each of them first, nearer and farther apart."""
    recorded = [0.0, 0.003, 0.004]
    assert moments(recorded, 0) == moments(recorded, 1) == recorded
    tries = [moments(recorded, number) for number in range(2, 8)]
    assert [one.index(0.0) for one in tries[:3]] == [0, 1, 2]
    assert tries[0] == pytest.approx([0.0, 0.010, 0.011])
    assert tries[1] == pytest.approx([0.010, 0.0, 0.014])
    assert moments([0.0], 9) == [0.0]
