"""The samples in reports: some of Key Protect's cases on a server with three defects, and a signed certification of IKS.

`make sample` makes both anew; `tests/outputs/test_sample.py` says when that is due. The certification is signed with a key
that is made for it and thrown away: only its public half is kept, for `kms-conformance verify --key`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bundles import PRODUCT
from tls_servers import authority, server_context, tls_before

from kms_conformance.verification.bundle import NAME
from kms_conformance.verification.keys import make_pair
from kms_reference.server import Server
from kms_reference.target import target_text

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "reports" / "sample"
CERTIFICATE = ROOT / "reports" / "sample-certificate"
PUBLIC_KEY = "signer-of-the-sample.pub"
CHALLENGE = "challenge-of-the-sample"
DEFECTS = ("rotation-unlimited", "enable-without-wait", "alias-used-twice")
SELECTION = "not laws and not fuzz and (rotation or aliases or alias_rules or used_keys or restored_keys or suspended)"
CONFORMANT, NON_CONFORMANT = 0, 1
_SIGNER, _DAYS = "signer", 1100


def arguments(place: str) -> list[str]:
    """Return what the command line is given."""
    defects = [word for defect in DEFECTS for word in ("--defect", defect)]
    options = ["--contract", "key_protect", "--no-fuzz", *defects, "-k", SELECTION]
    return ["run", *options, "--report-dir", place]


def certify(folder: Path) -> int:
    """Certify a sound reference behind TLS in a folder; return the exit code."""
    make_pair(folder / _SIGNER)
    tables = {**PRODUCT, "validity": {"days": _DAYS}}
    (folder / "product.toml").write_text(
        "\n".join(
            f"[{table}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in block.items())
            for table, block in tables.items()
        )
    )
    authority().write(folder / "ca.pem")
    server = Server(edition="page", defects=[], variations=[]).start()
    try:
        plain = urlsplit(server.base_url)
        with tls_before(server_context(authority().issue(folder)), ("127.0.0.1", plain.port or 80)) as url:
            text = target_text(server).replace(f'base_url = "{server.base_url}"', f'base_url = "{url}"')
            (folder / "target.toml").write_text(f'{text}\n[tls]\nca_file = "ca.pem"\n')
            options = ["--target", "target.toml", "--contract", "iks", "--profile", "certify"]
            options += ["--product", "product.toml", "--sign", f"{_SIGNER}.key", "--challenge", CHALLENGE]
            command = [sys.executable, "-m", "kms_conformance", "run", *options, "--report-dir", "out"]
            return subprocess.run(command, cwd=folder, check=False).returncode
    finally:
        server.stop()


def main() -> int:
    """Make both anew; return the exit code."""
    for place in (PLACE, CERTIFICATE):
        shutil.rmtree(place, ignore_errors=True)
    place = PLACE.relative_to(ROOT).as_posix()
    command = [sys.executable, "-m", "kms_conformance", *arguments(place)]
    broken = subprocess.run(command, cwd=ROOT, check=False).returncode
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certified = certify(folder)
        CERTIFICATE.mkdir()
        shutil.copy(folder / "out" / NAME, CERTIFICATE / NAME)
        shutil.copy(folder / f"{_SIGNER}.pub", CERTIFICATE / PUBLIC_KEY)
    return int((broken, certified) != (NON_CONFORMANT, CONFORMANT))


if __name__ == "__main__":
    sys.exit(main())
