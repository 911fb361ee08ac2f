"""A reproduction sends the whole sequence again: it fails on the server that failed, and holds on a sound one."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from kms_conformance.outputs import repro
from kms_conformance.outputs.repro_runtime import CouldNotRunError, Reproduction
from kms_conformance.system import system_of

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
)


@pytest.fixture(scope="module", name="sound")
def sound_fixture() -> Iterator[object]:
    """Give one sound server for all."""
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


def test_what_cannot_be_sent_again_says_so(sound: object) -> None:
    """A script of signed frames ends with 2 and a sentence."""
    from repros import defects, play  # noqa: PLC0415 - in tests/proof

    defect = next(row for row in defects() if row["name"] == "tke-foreign-signer-counts")
    played = play(defect, sound)  # type: ignore[arg-type]  # the fixture gives a server
    assert (played.broken, played.sound) == (2, 2)
    assert "could not be run: its requests are frames for a crypto unit" in played.output


def test_api_key_becomes_a_token(sound: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an API key and an issuer in the environment, a script asks for its token the way that its system has."""
    grant = system_of("key_protect").grant
    assert grant is not None
    case = {"base_url": sound.base_url, "instance": "", "steps": [], "started": 0.0}
    monkeypatch.delenv("KMS_TOKEN", raising=False)
    monkeypatch.setenv("KMS_API_KEY", sound.api_keys["manager"])
    monkeypatch.setenv("KMS_IAM_URL", sound.iam_url)
    token = Reproduction({**case, "grant": [grant.type, grant.member]}).token("manager")
    assert token.count(".") == 2
    with pytest.raises(CouldNotRunError, match="set KMS_TOKEN"):
        Reproduction({**case, "grant": []}).token("manager")


def test_script_needs_only_the_standard_library() -> None:
    """What is pasted into each script imports nothing that Python does not bring."""
    tree = ast.parse(repro._runtime())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names
    assert all(name.partition(".")[0] in sys.stdlib_module_names for name in names)


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
