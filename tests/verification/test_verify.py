"""A bundle is accepted as it was signed, and in no other form; nothing in it can do harm while it is looked at."""

from __future__ import annotations

import json
import random
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kms_conformance.cli.keygen import command as keygen_command
from kms_conformance.cli.run import command as run_command
from kms_conformance.cli.table import command as table_command
from kms_conformance.cli.verify import command as verify_command
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.errors import BadValueError, BundleError, KeyFileError, RecordError
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import har, manifest, results, write_all
from kms_conformance.run.options import FuzzOptions, Options, challenge_mark
from kms_conformance.run.session import Session
from kms_conformance.verification import archive, bundle
from kms_conformance.verification.keys import make_pair, read_public, read_signer
from kms_conformance.verification.product import Product, product_of, read_product
from kms_conformance.verification.statement import OWN, seal, statement, unseal
from kms_conformance.verification.verify import verify

CHALLENGE = "board-2026-11-29"
DEFECT = "iks-no-credentials-as-200"
URL = "https://kms.example.test"
CERTIFICATE = {
    "tls": "TLSv1.3",
    "cipher": "TLS_AES_256_GCM_SHA384",
    "sha256": "ab" * 32,
    "subject": "CN=kms.example.test",
    "issuer": "CN=Example CA",
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2027-01-01T00:00:00Z",
}
PRODUCT = {
    "product": {
        "vendor": "Example Ltd",
        "name": "Example KMS",
        "version": "4.2",
        "url": "https://kms.example.test",
        "contact": "kms@example.test",
    },
    "signer": {"role": "vendor", "name": "Example Ltd"},
}
TAMPERINGS = 1000


@dataclass(frozen=True)
class Made:
    """Report directories of a sound and of a broken server, with the bundles of both, and the keys."""

    folder: Path
    sound: Path
    broken: Path
    product: Product

    @property
    def key(self) -> Path:
        """The signer's public key."""
        return self.folder / "vendor.pub"

    @property
    def bundle(self) -> Path:
        """The bundle of the sound server."""
        return self.sound / bundle.NAME


def certified(defect: str, product: Product) -> Run:
    """Return a certification run of a whole contract, the smallest, as it would come from a server with TLS."""
    from cases import collected  # noqa: PLC0415 - beside this file
    from in_process import reference, without_sockets  # noqa: PLC0415 - same

    cases = collected("iks")
    options = Options(
        profile=Profile.CERTIFY,
        contracts=("iks",),
        challenge=CHALLENGE,
        product=product.about,
        fuzz=FuzzOptions(whole=True, generate=True),
    )
    with without_sockets(), reference(defect=defect) as (target, _):
        session = Session(options, target)
        session.expects(len(cases))
        for case in cases.values():
            session.run_case(session.open(case.info), case.body)
        run = session.outcome()
        session.close()
    servers = [
        {"name": server, "addresses": ["192.0.2.1:443"], "certificates": [CERTIFICATE]}
        for server in served(run)
    ]
    return replace(run, meta={**run.meta, "servers": servers})


def served(run: Run) -> list[str]:
    """Return host and port of each address of a run's target."""
    told = json.dumps(run.meta["target"])
    return sorted({word.split("/")[2] for word in told.split('"') if word.startswith("http")})


@pytest.fixture(scope="module", name="made")
def made_fixture(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make both runs once, and sign them."""
    folder = tmp_path_factory.mktemp("bundles")
    made = Made(folder, folder / "sound", folder / "broken", product_of(PRODUCT))
    make_pair(folder / "vendor")
    make_pair(folder / "other")
    for place, defect in ((made.sound, ""), (made.broken, DEFECT)):
        run = certified(defect, made.product)
        write_all(run, place)
        assert bundle.missing(results.render(run)) == []
        bundle.write(place, results.render(run), made.product, read_signer(folder / "vendor.key"))
    return made


def refused(path: Path, made: Made, **options: Any) -> str:
    """Return the sentence by which a bundle is refused; fail when it is accepted."""
    try:
        found = verify(path, read_public(made.key), **options)
    except BundleError as error:
        return error.why
    assert found.examination.wrong, "it was accepted"
    return found.examination.wrong[0]


def files_of(path: Path, folder: Path) -> dict[str, bytes]:
    """Return the files of a bundle by name, without its envelope."""
    shutil.rmtree(folder, ignore_errors=True)
    archive.Archive(path, path.read_bytes()).unpack(folder)
    return {
        place.relative_to(folder).as_posix(): place.read_bytes()
        for place in sorted(folder.rglob("*"))
        if place.is_file()
    }


def packed(path: Path, files: dict[str, bytes], sealed: bytes) -> Path:
    """Write a bundle of these files with this envelope."""
    path.write_bytes(archive.close(archive.pack(sorted(files.items())), bundle.ENVELOPE, sealed))
    return path


def signed_anew(path: Path, files: dict[str, bytes], key: Path, product: Product) -> Path:
    """Write a bundle of these files with everything that whoever has a key can make fit, the manifest included."""
    listed = json.loads(files[manifest.NAME])
    listed["files"] = {
        name: {"sha256": manifest.digest(files[name]), "size": len(files[name])} for name in listed["files"]
    }
    files = {**files, manifest.NAME: manifest.text_of(listed).encode()}
    signer = read_signer(key)
    body = archive.pack(sorted(files.items()))
    digests = [(bundle.ARCHIVE, manifest.digest(body))]
    digests += [(name, manifest.digest(files[name])) for name in bundle.SIGNED]
    document = statement(json.loads(files[results.NAME]), product, digests, signer.public_key)
    path.write_bytes(archive.close(body, bundle.ENVELOPE, seal(document, signer)))
    return path


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
    assert refused(path, made).startswith("it was signed with another key")
    assert verify(path).examination.wrong == ()


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


# --- what would do harm ------------------------------------------------------------------------------------------------


def _zip(path: Path, name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Path:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(info, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "kind", "why"),
    [
        ("../out.txt", b"x", stat.S_IFREG, "names a place outside of it"),
        ("/etc/out.txt", b"x", stat.S_IFREG, "names a place outside of it"),
        ("a\\b.txt", b"x", stat.S_IFREG, "names a place outside of it"),
        ("bomb.txt", b"\0" * 30_000_000, stat.S_IFREG, "swells from "),
        ("link", b"/etc/passwd", stat.S_IFLNK, "not written the way this suite writes"),
        ("device", b"", stat.S_IFCHR, "not written the way this suite writes"),
        ("pipe", b"", stat.S_IFIFO, "not written the way this suite writes"),
        (".hidden", b"x", stat.S_IFREG, "which no run writes"),
        ("n" * 300, b"x", stat.S_IFREG, "which no run writes"),
    ],
    ids=["up", "root", "backslash", "bomb", "link", "device", "pipe", "hidden", "long"],
)
def test_harmful(made: Made, tmp_path: Path, *, name: str, content: bytes, kind: int, why: str) -> None:
    """Paths that lead out, bombs, links, devices and pipes are refused before anything is unpacked."""
    assert why in refused(_zip(tmp_path / "t.zip", name, content, kind | 0o644), made)


def test_absurd_sizes(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many, too large and too small files are refused, and so is what is no regular file."""
    path = tmp_path / "t.zip"
    entry = archive.Entry("a.txt", zlib.DEFLATED, 0, 4, archive.LARGEST_ENTRY + 1, 0)
    path.write_bytes(entry.header + b"....")
    assert "would be too large" in refused(path, made)
    path.write_bytes(b"")
    assert refused(path, made) == "it holds no file"
    assert refused(tmp_path, made) == "Is a directory"
    assert refused(tmp_path / "none.zip", made) == "No such file or directory"
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    assert refused(made.bundle, made) == "it holds more than 3 files"


def test_entry_that_says_less_than_it_holds(tmp_path: Path) -> None:
    """An entry is never unpacked further than its header says."""
    body = archive.pack([("a.txt", b"\0" * 5000)])
    small = archive.Entry("a.txt", zlib.DEFLATED, zlib.crc32(b"\0" * 10), len(body) - 35, 10, 0)
    path = tmp_path / "t.zip"
    path.write_bytes(archive.close(small.header + body[35:], "end", b"e"))
    with pytest.raises(BundleError, match="is not what its header says"):
        archive.Archive(path, path.read_bytes()).unpack(tmp_path / "out")


# --- before and after the run --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"profile": "gate"}, "its profile is gate, not certify"),
        ({"partial": "-k rotate"}, "it is not a whole run: -k rotate"),
        ({"baseline": [{}]}, "a baseline was given"),
        ({"clock_skew": None}, "the clock skew is not known: no answer had a Date"),
        (
            {"options": {"fuzz": {"on": False}}},
            "it was not fuzzed with the whole corpus and generated requests",
        ),
    ],
)
def test_missing(made: Made, change: dict[str, Any], sentence: str) -> None:
    """Each thing that a certification lacks is a sentence."""
    record = json.loads((made.sound / results.NAME).read_text())
    assert bundle.missing({**record, **change}) == [sentence]


def test_missing_server(made: Made) -> None:
    """Without address and certificate of the server nothing shows which one has answered."""
    record = json.loads((made.sound / results.NAME).read_text())
    lacking = bundle.missing({**record, "servers": []})
    assert any("the address of the server" in sentence for sentence in lacking)
    assert any("no TLS certificate of" in sentence for sentence in lacking)


def test_missing_rows(made: Made) -> None:
    """Rows that were not executed are named."""
    record = json.loads((made.sound / results.NAME).read_text())
    rows = [{**row, "verdict": "not-tested"} for row in record["requirements"]]
    (sentence,) = bundle.missing({**record, "requirements": rows})
    assert sentence.startswith(
        f"{sum(not row['excluded'] for row in rows)} required rows were not executed: "
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sign", "k.key"], "add --product FILE"),
        (["--sign", "k.key", "--product", "p.toml"], "only a certification is signed"),
        (
            ["--sign", "k.key", "--product", "p.toml", "--profile", "certify", "-k", "wrap"],
            "only a whole run is signed",
        ),
        (["--sign", "k.key", "--product", "p.toml", "--profile", "certify"], "without TLS nothing shows"),
        (["--product", "none.toml"], "No such file"),
        (["--challenge", "short"], "8 to 64 letters"),
    ],
)
def test_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    """What cannot end in a bundle is refused before the first request, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    write_product(tmp_path / "p.toml")
    error = CliRunner().invoke(run_command, arguments).exception
    assert isinstance(error, BadValueError)
    assert told in f"{error.sentence} {error.hint}"
    assert error.exit_code == 2


def write_product(path: Path) -> None:
    """Write a product file."""
    lines = [
        f"[{table}]\n" + "".join(f'{key} = "{value}"\n' for key, value in block.items())
        for table, block in PRODUCT.items()
    ]
    path.write_text("\n".join(lines))


def test_product_file(tmp_path: Path) -> None:
    """A product file says who vouches; one that breaks the schema is refused."""
    path = tmp_path / "p.toml"
    write_product(path)
    assert read_product(path).attestation.startswith("Self-attested: ")
    path.write_text(path.read_text().replace('"vendor"', '"certifier"'))
    assert read_product(path).attestation.startswith("Witnessed: ")
    for text in ("[product]\n", "no toml"):
        path.write_text(text)
        with pytest.raises(BadValueError):
            read_product(path)


def test_keygen(tmp_path: Path) -> None:
    """A key pair is made once, its private half for its owner only; a file that is there is not written over."""
    made = CliRunner().invoke(keygen_command, [str(tmp_path / "k")])
    assert made.exit_code == 0
    assert stat.S_IMODE((tmp_path / "k.key").stat().st_mode) == 0o600
    assert read_signer(tmp_path / "k.key").public_key.keyid == read_public(tmp_path / "k.pub").keyid
    with pytest.raises(KeyFileError):
        make_pair(tmp_path / "k")
    for path in (tmp_path / "none", tmp_path / "k.pub"):
        with pytest.raises(KeyFileError):
            read_signer(path)
    with pytest.raises(KeyFileError):
        read_public(tmp_path / "k.key")
