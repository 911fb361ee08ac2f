"""`doctor` on real endpoints: each finding is one sentence with a hint, the exit code says how grave it is."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from commands import Ended, clean_environment
from null_servers import ENVELOPE, Behaviour, NullServer, always, serving
from owners import put_policy

from kms_conformance.cli import main
from kms_conformance.contract.schemas import load_schema
from kms_conformance.run.journal import Journal
from kms_reference.server import Server
from kms_reference.target import write_target

INSTANCE = "7f1d1c4e-0000-4000-8000-0000000000dd"
COLLECTION = {
    "metadata": {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 0},
    "resources": [],
}
_PAGE = b"<!doctype html><html><body>Sign in</body></html>"

Doctor = Callable[..., Ended]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Doctor:
    """Return a function that runs `doctor`'s entry point in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name, value in clean_environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, command: str = "doctor") -> Ended:
        monkeypatch.setattr("sys.argv", ["kms-conformance", command, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return run


def jwt(**claims: Any) -> str:
    """Return a token of three parts that nobody has signed."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "c2lnbmF0dXJl"])


def target(folder: Path, url: str, token: str = "opaque-token", more: str = "") -> str:
    """Write a target file for an endpoint with one identity."""
    path = folder / "target.toml"
    path.write_text(
        f'base_url = "{url}"\ninstance = "{INSTANCE}"\n[identities.manager]\ntoken = "{token}"\n{more}'
    )
    return str(path)


def served(reference: Server, folder: Path, *edits: tuple[str, str], more: str = "") -> str:
    """Write the target file of the reference with a shared instance, judged by one contract, with some words replaced."""
    path = folder / "target.toml"
    write_target(path, reference)
    text = path.read_text().replace('instance = "fresh"', f'instance = "{INSTANCE}"', 1)
    text = text.partition("[hpcs_tke]")[0]
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text + more)
    return str(path)


def ids(ended: Ended) -> list[str]:
    """Return the kinds of the findings of `--json`, checked against the schema."""
    document = json.loads(ended.out)
    jsonschema.validate(document, load_schema("doctor"))
    assert document["exit_code"] == ended.code
    return [finding["id"] for finding in document["findings"]]


def test_ready(doctor: Doctor, reference: Server, tmp_path: Path) -> None:
    """A healthy endpoint is ready: what a run costs is told, and what the profile cannot test, and nothing is changed."""
    path = served(reference, tmp_path, ("raw = true", "raw = false"), ("zeroize = true", "zeroize = false"))
    ended = doctor("--target", path)
    assert ended.code == 0, ended.output
    assert 1 <= len(ended.out.splitlines()) <= 10
    assert all(line.startswith("note ") for line in ended.out.splitlines())
    assert "A run sends about " in ended.out
    assert "opaque" not in ended.output


@pytest.mark.parametrize(
    ("behaviour", "kind", "says"),
    [
        (always(407), "proxy", "a proxy in front of it answers 407"),
        (always(429, retry_after="7"), "rate-limited", "it limits the rate at the very first request (429, Retry-After 7)"),
        (always(200, _PAGE, "text/html"), "html", "an HTML page"),
        (always(200, b"{}"), "refused", "it does not speak the"),
        (always(401, b"{}"), "refused", "it refuses the identity 'manager' with 401"),
        (always(307, location="http://elsewhere.example.test/"), "refused", "it redirects to"),
    ],
    ids=["407", "429", "html", "not-a-kms", "401", "redirect"],
)  # fmt: skip
def test_what_answers(doctor: Doctor, tmp_path: Path, behaviour: Behaviour, kind: str, says: str) -> None:
    """What is no KMS, or lets nobody in, is one problem with one hint, soon, and exit code 4."""
    with serving(behaviour) as server:
        path = target(tmp_path, server.url)
        ended = doctor("--target", path, "--json")
        sent = len(server.requests)
        text = doctor("--target", path)
    assert ended.code == text.code == 4
    assert ids(ended) == [kind]
    assert sent <= 3
    assert text.out.count("\n") == 1
    assert text.out.startswith("problem ")
    assert says in text.out
    assert " Hint: " in text.out


def test_silence(doctor: Doctor, tmp_path: Path) -> None:
    """An endpoint that takes the request and says nothing is given two seconds, however patient the target is."""

    def hang(_: object, __: object, stop: Any) -> bool:
        stop.wait(30)
        return False

    with serving(hang) as server:
        ended = doctor("--target", target(tmp_path, server.url, more="[limits]\ntimeout = 60\n"), "--json")
        assert ids(ended) == ["silence"]
    assert ended.code == 4
    assert "within 2 s" in ended.out


@pytest.mark.parametrize(
    ("token", "kind", "says"),
    [
        (jwt(sub="me", exp=1_700_000_000), "token-expired", "it has expired at 2023-11-14 22:13:20 UTC"),
        ("eyJhbGciOiJSUzI1NiJ9.e30", "token-malformed", "none of three parts"),
    ],
    ids=["expired", "malformed"],
)
def test_tokens(doctor: Doctor, tmp_path: Path, token: str, kind: str, says: str) -> None:
    """An expired token (it says when) and a broken one are told without a request."""
    with serving(always(401)) as server:
        ended = doctor("--target", target(tmp_path, server.url, token), "--json")
        run = doctor("--target", target(tmp_path, server.url, token), command="run")
        assert not server.requests
    code = 2 if kind == "token-malformed" else 4
    assert (ended.code, run.code) == (code, code)
    assert ids(ended) == [kind]
    assert says in ended.out
    assert says in run.err.splitlines()[0]
    assert token not in ended.output + run.output


def test_token_that_ends_soon(doctor: Doctor, tmp_path: Path) -> None:
    """A token that ends in two minutes is a warning: a run may outlive it."""
    token = jwt(sub="me", exp=int(time.time()) + 120)
    with serving(always(401)) as server:
        ended = doctor("--target", target(tmp_path, server.url, token), "--json")
    assert ids(ended) == ["token-expires-soon", "refused"]


def test_missing_token(doctor: Doctor, tmp_path: Path) -> None:
    """An identity without a token is told, as a document too."""
    path = target(tmp_path, "http://127.0.0.1:9").replace("target.toml", "empty.toml")
    Path(path).write_text(f'base_url = "http://127.0.0.1:9"\ninstance = "{INSTANCE}"\n[identities.manager]\n')
    ended = doctor("--target", path, "--json")
    assert ended.code == 2
    assert ids(ended) == ["target"]
    assert "has no token" in ended.out


def test_issuer_that_is_not_there(doctor: Doctor, reference: Server, tmp_path: Path) -> None:
    """A token issuer at which nobody listens is told with its address and as the issuer's."""
    path = served(reference, tmp_path, (reference.iam_url, "http://127.0.0.1:9/token"))
    ended = doctor("--target", path, "--json")
    assert ended.code == 4
    assert ids(ended) == ["tcp-refused"]
    assert "The token issuer http://127.0.0.1:9/token gave no token for the identity 'manager'" in ended.out
    assert "[iam] url" in ended.out


def test_one_person_twice(doctor: Doctor, reference: Server, tmp_path: Path) -> None:
    """Two identities that are one person end the examination with exit code 2."""
    keys = reference.api_keys
    ended = doctor("--target", served(reference, tmp_path, (keys["reader"], keys["manager"])), "--json")
    assert ended.code == 2
    assert ids(ended) == ["refused"]
    assert "are one person" in ended.out


def test_too_many_rights(doctor: Doctor, reference: Server, tmp_path: Path) -> None:
    """A reader who may read policies and an outsider who may list have too many roles: warnings, for a run judges it."""
    keys = reference.api_keys
    path = served(reference, tmp_path, (keys["outsider"], keys["approver"]))
    text = Path(path).read_text().replace(f'[identities.approver]\napi_key = "{keys["approver"]}"\n', "", 1)
    Path(path).write_text(text)
    ended = doctor("--target", path, "--json")
    assert ended.code == 3
    assert "role" in ids(ended)
    assert "'outsider' may do what it has to be refused" in ended.out


def answering(**headers: str) -> Behaviour:
    """Return a server that lists nothing and knows no key, with more headers in each answer."""

    def answer(connection: Any, request: Any, stop: Any) -> bool:
        is_list = "limit=" in request.path
        document = COLLECTION if is_list else ENVELOPE
        behaviour = always(200 if is_list else 404, json.dumps(document).encode(), **headers)
        return behaviour(connection, request, stop)

    return answer


def test_clock_skew_and_limit(doctor: Doctor, tmp_path: Path) -> None:
    """A clock that is ahead by two minutes and a limit that is nearly reached are warnings."""
    headers = {"date": formatdate(time.time() + 120, usegmt=True), "ratelimit-remaining": "3"}
    with serving(answering(**headers)) as server:
        ended = doctor("--target", target(tmp_path, server.url), "--json")
    assert ended.code == 3
    assert ids(ended)[:2] == ["clock-skew", "quota"]
    assert "The clock of the endpoint is 2 min 0 s ahead of ours" in ended.out.replace(
        "1 min 59 s", "2 min 0 s"
    )


def test_instance_that_is_not_there(doctor: Doctor, tmp_path: Path) -> None:
    """A list that is refused in the envelope may be of a wrong instance: a warning, as a run judges it."""
    with serving(always(404, json.dumps(ENVELOPE).encode())) as server:
        ended = doctor("--target", target(tmp_path, server.url), "--json")
    assert ended.code == 3
    assert ids(ended)[0] == "instance"


def test_fresh_instance_need_not_be_there(doctor: Doctor, tmp_path: Path) -> None:
    """Where each case has an instance of its own, there is none yet that could be the wrong one."""
    with serving(always(404, json.dumps(ENVELOPE).encode())) as server:
        path = Path(target(tmp_path, server.url))
        path.write_text(path.read_text().replace(INSTANCE, "fresh"))
        ended = doctor("--target", str(path), "--json")
    assert "instance" not in ids(ended)


def test_policies_and_remains(doctor: Doctor, reference: Server, tmp_path: Path) -> None:
    """What the owner has set is told, and so is what a dead run has left according to the journal."""
    path = served(reference, tmp_path)
    put_policy(reference, INSTANCE, "dualAuthDelete")
    journal = Journal(tmp_path / "journal.sqlite", "deadbeef", lambda _: False)
    journal.intend(reference.base_url, INSTANCE, "key", "kmsct-deadbeef-key")
    journal.close()
    ended = doctor("--target", path, "--journal", "journal.sqlite", "--json")
    put_policy(reference, INSTANCE, "dualAuthDelete", enabled=False)
    assert ended.code == 3
    assert {"left-behind", "instance-policy"} <= set(ids(ended))
    assert "The instance has dualAuthDelete on" in ended.out
    assert "1 thing of earlier runs may still be there" in ended.out
    assert "kms-conformance sweep" in ended.out


def test_safe_mode_is_told(doctor: Doctor, reference: Server, tmp_path: Path) -> None:
    """What the mode leaves without effect is a note."""
    ended = doctor("--target", served(reference, tmp_path), "--mode", "safe", "--json")
    assert "mode" in ids(ended)
    assert "--mode full" in ended.out


def test_no_endpoint(doctor: Doctor) -> None:
    """Without an endpoint there is nothing to examine."""
    ended = doctor()
    assert ended.code == 2
    assert "needs an endpoint" in ended.err


def test_run_says_it_too(doctor: Doctor, tmp_path: Path) -> None:
    """`run` ends with the same sentence and hint before any case."""
    with serving(always(407)) as server:
        ended = doctor("--target", target(tmp_path, server.url), command="run")
        assert isinstance(server, NullServer)
    assert ended.code == 4
    assert ended.err.splitlines()[0].endswith("a proxy in front of it answers 407 and wants credentials.")
    assert ended.err.splitlines()[1].startswith("hint: name the proxy")
