"""What a run needs to be signed: known before it starts, and at its end."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from bundles import (
    PRODUCT,
    Made,
)
from click.testing import CliRunner

from kms_conformance.cli.keygen import command as keygen_command
from kms_conformance.cli.run import command as run_command
from kms_conformance.errors import BadValueError, KeyFileError
from kms_conformance.outputs import results
from kms_conformance.verification import bundle
from kms_conformance.verification.keys import make_pair, read_public, read_signer
from kms_conformance.verification.product import read_product


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
