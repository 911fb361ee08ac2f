"""Schemathesis's own command line on our OpenAPI documents and the reference: another reading of both.

``python tests/proof/schemathesis_witness.py [OPTIONS OF schemathesis run]`` asks one served reference what Schemathesis makes of each
document, and ends with 1 where an answer is a server error, has another status, media type or body than its document says.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import uuid
from pathlib import Path

import click
import httpx
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from commands import clean_environment
from served_reference import served

ROOT = Path(__file__).parents[2]
CONTRACTS = ("key_protect", "hpcs_tke", "iks")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
_LONGEST = 900.0


def token_of(text: str) -> str:
    """Fetch a token of the manager of a served reference."""
    target = tomllib.loads(text)
    form = {"grant_type": _GRANT, "apikey": target["identities"]["manager"]["api_key"]}
    return str(httpx.post(target["iam"]["url"], data=form).raise_for_status().json()["access_token"])


def asked(contract: str, text: str, folder: Path, options: list[str]) -> int:
    """Let Schemathesis ask the reference by one document, and print the end of what it says; return its exit code."""
    path = ROOT / "contracts" / contract / "openapi.yaml"
    below = str(yaml.safe_load(path.read_text(encoding="utf-8"))["servers"][0]["url"]).rstrip("/")
    url = f"{tomllib.loads(text)['base_url']}{below}"
    headers = {
        "Authorization": f"Bearer {token_of(text)}",
        "Bluemix-Instance": str(uuid.uuid4()),
        "X-Auth-Resource-Account": str(uuid.uuid4()),
    }
    named = [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "run", str(path), "--url", url, "--checks", ",".join(CHECKS), *named]
    ended = subprocess.run(
        [*command, "--no-color", *options],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST,
    )
    lines = ended.stdout.splitlines()
    click.echo(f"{contract}: exit code {ended.returncode}")
    click.echo("\n".join(lines[-25:] if not ended.returncode else lines[-160:]))
    return ended.returncode


def main() -> int:
    """Ask by each document."""
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as text:
        codes = [asked(contract, text, Path(name), sys.argv[1:]) for contract in CONTRACTS]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
