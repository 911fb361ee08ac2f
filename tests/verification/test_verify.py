"""A bundle is accepted as it was signed, and in no other form."""

from __future__ import annotations

import json
import random
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bundles import (
    CHALLENGE,
    TAMPERINGS,
    URL,
    Made,
    files_of,
    packed,
    refused,
    signed_anew,
)
from click.testing import CliRunner

from kms_conformance.cli.contradictions import MOST
from kms_conformance.cli.table import command as table_command
from kms_conformance.cli.verify import command as verify_command
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.errors import BundleError, ExitCode, RecordError, veiled
from kms_conformance.outputs import har, manifest, results
from kms_conformance.run.options import challenge_mark
from kms_conformance.verification import archive, bundle
from kms_conformance.verification.keys import read_public
from kms_conformance.verification.statement import OWN, unseal
from kms_conformance.verification.verify import verify

# --- what is accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sound", "broken"])
def test_accepted(made: Made, name: str) -> None:
    """A bundle is accepted as it was signed, and the command ends as its run did."""
    arguments = [str(made.folder / name / bundle.NAME), "--key", str(made.key), "--challenge", CHALLENGE]
    ended = CliRunner().invoke(verify_command, arguments)
    assert ended.exit_code == (0 if name == "sound" else 1), ended.output
    assert ended.output.splitlines()[-1].startswith("verified: ")
    assert "Self-attested: Example Ltd, as vendor" in ended.output
    assert f"answers the challenge '{CHALLENGE}'" in ended.output


def test_without_a_key(made: Made) -> None:
    """Without a key a bundle is checked by the one that it names, and the output says what that is worth."""
    ended = CliRunner().invoke(verify_command, [str(made.bundle)])
    assert ended.exit_code == 0
    assert "a key that nobody has vouched for" in ended.output


def test_contents(made: Made, tmp_path: Path) -> None:
    """A bundle has every file of the run, product, target and contract; any ZIP reader opens it."""
    with zipfile.ZipFile(made.bundle) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
    listed = json.loads((made.sound / manifest.NAME).read_text())["files"]
    assert {*listed, manifest.NAME, bundle.PRODUCT, bundle.TARGET, bundle.ENVELOPE} <= set(names)
    assert "contracts/iks/requirements.yaml" in names
    files = files_of(made.bundle, tmp_path / "files")
    assert SCHEMA_FILES.complaint("product", json.loads(files[bundle.PRODUCT])) is None


def test_statement(made: Made) -> None:
    """The envelope holds an in-toto Statement of the test-result type, with result, tests, validity and attestation."""
    sealed = archive.Archive(made.bundle, made.bundle.read_bytes()).envelope
    document, _ = unseal(sealed, read_public(made.key))
    assert SCHEMA_FILES.complaint("statement", document) is None
    assert document["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    predicate = document["predicate"]
    assert predicate["result"] == "PASSED"
    assert predicate["passedTests"]
    own = predicate[OWN]
    issued, expires = (datetime.fromisoformat(own[name]) for name in ("issued", "expires"))
    assert expires - issued == timedelta(days=365)
    assert own["attestation"].startswith("Self-attested: ")


def test_challenge_is_everywhere(made: Made) -> None:
    """The challenge is in the run id, in the names of what the run makes, and in the User-Agent of its requests."""
    record = json.loads((made.sound / results.NAME).read_text())
    mark = challenge_mark(CHALLENGE)
    assert record["run_id"].startswith(f"{mark}-")
    text = (made.sound / har.NAME).read_text()
    assert text.count(f' challenge/{CHALLENGE}"') >= 0.9 * record["requests"]["kept"]
    assert f"kmsct-{mark}" in text


def test_table(made: Made, tmp_path: Path) -> None:
    """A table shows the bundles that verify, and no others; a key that is not given vouches for nothing."""
    output = tmp_path / "table.html"
    for key, shown, code in (("vendor", 2, 0), ("other", 0, 6)):
        places = [str(made.sound), str(made.broken), "--key", str(made.folder / f"{key}.pub")]
        ended = CliRunner().invoke(table_command, [*places, "--output", str(output)])
        assert ended.exit_code == code, ended.output
        assert output.read_text().count("Example Ltd") == shown


# --- what is refused -------------------------------------------------------------------------------------------------


def _flip(random_: random.Random, content: bytes) -> bytes:
    place = random_.randrange(len(content))
    return content[:place] + bytes([content[place] ^ (1 << random_.randrange(8))]) + content[place + 1 :]


def _cut(random_: random.Random, content: bytes) -> bytes:
    start = random_.randrange(len(content))
    return content[:start] + content[start + random_.randint(1, 200) :]


def _insert(random_: random.Random, content: bytes) -> bytes:
    start = random_.randrange(len(content) + 1)
    return content[:start] + random_.randbytes(random_.randint(1, 50)) + content[start:]


def _swap(random_: random.Random, content: bytes) -> bytes:
    first, second = sorted(random_.sample(range(len(content)), 2))
    return content[:first] + content[second:] + content[first:second]


def test_tampered_bytes(made: Made, tmp_path: Path) -> None:
    """No bundle of which a random byte, or a stretch of bytes, was changed is accepted."""
    random_, whole, path = random.Random(15), made.bundle.read_bytes(), tmp_path / "t.zip"
    accepted = 0
    for number in range(TAMPERINGS):
        edit = (_flip, _flip, _flip, _cut, _insert, _swap)[number % 6]
        changed = edit(random_, whole)
        if changed == whole:
            continue
        path.write_bytes(changed)
        try:
            verify(path, read_public(made.key))
        except BundleError:
            continue
        accepted += 1
    assert accepted == 0


def test_tampered_files(made: Made, tmp_path: Path) -> None:
    """No bundle that was packed anew with a changed, dropped, added or swapped file is accepted."""
    random_, files = random.Random(16), files_of(made.bundle, tmp_path / "files")
    others = files_of(made.broken / bundle.NAME, tmp_path / "others")
    sealed = archive.Archive(made.bundle, made.bundle.read_bytes()).envelope
    names = sorted(files)
    for number in range(60):
        changed, name = dict(files), random_.choice(names)
        if number % 4 == 0:
            changed[name] = _flip(random_, files[name] or b"x")
        elif number % 4 == 1:
            del changed[name]
        elif number % 4 == 2:
            changed[f"more-{number}.txt"] = b"more"
        else:
            changed |= {other: others[other] for other in (results.NAME, har.NAME) if other in others}
        why = refused(packed(tmp_path / "t.zip", changed, sealed), made)
        assert why == "its files are not those that were signed", (name, why)


def test_foreign_signature(made: Made, tmp_path: Path) -> None:
    """A bundle that somebody else has signed is refused where the signer's key is given."""
    files = files_of(made.bundle, tmp_path / "files")
    path = signed_anew(tmp_path / "t.zip", files, made.folder / "other.key", made.product)
    why = refused(path, made)
    assert why.startswith("it was signed with another key")
    assert veiled(why) == why, "its reader wants to know which keys"
    assert verify(path).examination.problems == ()


def _verdict(files: dict[str, bytes]) -> None:
    text = files[results.NAME].decode().replace("non-conformant", "conformant")
    record = json.loads(text)
    record["exit_code"] = 0
    files[results.NAME] = (json.dumps(record, indent=1) + "\n").encode()


def _dropped(files: dict[str, bytes]) -> None:
    record = json.loads(files[results.NAME])
    record["cases"] = [case for case in record["cases"] if case["verdict"] != "failed"]
    files[results.NAME] = (json.dumps(record, indent=1) + "\n").encode()


def _relabelled(files: dict[str, bytes]) -> None:
    record = json.loads(files[results.NAME])
    record["target"]["base_url"] = URL
    record["servers"].append({**record["servers"][0], "name": "kms.example.test:443"})
    files[results.NAME] = (json.dumps(record, indent=1) + "\n").encode()
    files[bundle.TARGET] = manifest.text_of(record["target"]).encode()


def _answers(files: dict[str, bytes]) -> None:
    files[har.NAME] = files[har.NAME].replace(b'"status": 200', b'"status": 401')


@pytest.mark.parametrize("edit", [_verdict, _dropped, _relabelled, _answers])
def test_signer_edits(made: Made, tmp_path: Path, edit: Callable[[dict[str, bytes]], None]) -> None:
    """Not even whoever has the key can sign another verdict, fewer cases, another endpoint or other answers."""
    files = files_of(made.broken / bundle.NAME, tmp_path / "files")
    edit(files)
    path = signed_anew(tmp_path / "t.zip", files, made.folder / "vendor.key", made.product)
    assert refused(path, made)


def _everywhere(target: dict[str, Any]) -> dict[str, Any]:
    """Return a target with another address in the place of each of its own."""
    return {
        name: _everywhere(value)
        if isinstance(value, dict)
        else URL
        if isinstance(value, str) and value.startswith("http")
        else value
        for name, value in target.items()
    }


def test_relabelled_endpoint(made: Made, tmp_path: Path) -> None:
    """Of a run that is said to have been against another endpoint the first line says where its requests went."""
    files = files_of(made.bundle, tmp_path / "files")
    record = json.loads(files[results.NAME])
    server = record["target"]["base_url"]
    record["target"] = _everywhere(record["target"])
    record["servers"].append({**record["servers"][0], "name": "kms.example.test:443"})
    files[results.NAME] = (json.dumps(record, indent=1) + "\n").encode()
    files[bundle.TARGET] = manifest.text_of(record["target"]).encode()
    path = signed_anew(tmp_path / "t.zip", files, made.folder / "vendor.key", made.product)
    ended = CliRunner().invoke(verify_command, [str(path), "--key", str(made.key)])
    lines = [line for line in ended.output.splitlines() if line.startswith("refused: ")]
    assert ended.exit_code == ExitCode.NOT_AS_RECORDED
    assert f"went to '{server}" in lines[0]
    assert "others to that server, which the target of results.json does not name" in lines[0]
    assert len(lines) == MOST + 1
    assert re.fullmatch(r"refused: and \d+ more of \d+ in all", lines[-1])


def test_expired(made: Made) -> None:
    """A bundle is refused when its time is over, and before it has begun."""
    now = datetime.now(UTC)
    assert refused(made.bundle, made, now=now + timedelta(days=366)).startswith("it has expired on ")
    assert refused(made.bundle, made, now=now - timedelta(days=1)).startswith("it was signed in the future")


def test_challenge(made: Made) -> None:
    """A bundle that does not answer the challenge is refused."""
    why = refused(made.bundle, made, challenge="another-challenge")
    assert why == f"it does not answer the challenge 'another-challenge': it carries '{CHALLENGE}'"


def test_other_challenge_in_the_run(made: Made, tmp_path: Path) -> None:
    """A challenge that was written into the results afterwards is found missing in run id and requests."""
    files = files_of(made.bundle, tmp_path / "files")
    record = json.loads(files[results.NAME])
    record["options"]["challenge"] = "written-later"
    files[results.NAME] = (json.dumps(record, indent=1) + "\n").encode()
    path = signed_anew(tmp_path / "t.zip", files, made.folder / "vendor.key", made.product)
    assert "does not come from the challenge 'written-later'" in refused(path, made)
    record["run_id"] = f"{challenge_mark('written-later')}-00000000"
    files[results.NAME] = (json.dumps(record, indent=1) + "\n").encode()
    path = signed_anew(tmp_path / "t.zip", files, made.folder / "vendor.key", made.product)
    assert refused(path, made).startswith("only 0 of its ")


def test_no_certification(made: Made, tmp_path: Path) -> None:
    """A signed run that is no certification is refused with everything that it lacks."""
    files = files_of(made.bundle, tmp_path / "files")
    record = json.loads(files[results.NAME])
    record["partial"] = "-k rotate"
    files[results.NAME] = (json.dumps(record, indent=1) + "\n").encode()
    path = signed_anew(tmp_path / "t.zip", files, made.folder / "vendor.key", made.product)
    assert refused(path, made) == "its run is no certification: it is not a whole run: -k rotate"


def test_other_version(made: Made, tmp_path: Path) -> None:
    """A bundle of another version of the suite is left to that version."""
    files = files_of(made.bundle, tmp_path / "files")
    record = json.loads(files[results.NAME])
    record["suite"]["version"] = "0.0.1"
    files[results.NAME] = (json.dumps(record, indent=1) + "\n").encode()
    path = signed_anew(tmp_path / "t.zip", files, made.folder / "vendor.key", made.product)
    with pytest.raises(RecordError):
        verify(path, read_public(made.key))
