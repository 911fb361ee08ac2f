"""An independent reading of our OpenAPI document: Prism, as a proxy between the suite and the reference, checks every answer.

``python tests/proof/prism.py [ARGUMENTS OF run]`` installs Prism (npm) into ``.witnesses``, runs the cases of Key Protect through
it and ends with 1 where a body or a header of an answer breaks the document. Violations in requests are counted only: many cases
send what has to be refused; so are statuses that the document does not name, with which addresses outside of it are refused (405).
First a reference with a defect is asked, so that a proxy which finds nothing is seen.

Bodies that are no JSON do not get through: Prism refuses them itself, and the cases that send them fail here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from served_reference import served

ROOT = Path(__file__).parents[2]
PRISM = "@stoplight/prism-cli@5.14.2"
WITNESSES = ROOT / ".witnesses"
KEPT = ROOT / "reports" / "out" / "prism"
"""Where Prism's log and the suite's report stay."""
BROKEN, ITS_CASES = "collection-total-text", "test_bodies"
"""A defect that an answer's schema shows, and cases in which it does."""
_START, _LONGEST = 60.0, 1800.0
_VIOLATION = re.compile(r"Violation: ((?:request|response)\S*) (.*)")
_OF_ANSWERS = ("response.body", "response.header")
_LISTENS = re.compile(r"Prism is listening on (\S+)")


def installed() -> Path:
    """Install Prism where it is not yet; return its program."""
    program = WITNESSES / "node_modules" / ".bin" / "prism"
    if not program.exists():
        WITNESSES.mkdir(exist_ok=True)
        command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(WITNESSES), PRISM]
        subprocess.run(command, check=True)
    return program


def write_document(folder: Path) -> Path:
    """Write our document as Prism reads it: paths from the root of the server, schemas by their whole path."""
    text = (ROOT / "contracts" / "key_protect" / "openapi.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text.replace("../../schemas", str(ROOT / "schemas")))
    below = document.pop("servers")[0]["url"]
    document["paths"] = {f"{below}{path}": item for path, item in document["paths"].items()}
    path = folder / "openapi.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


@contextmanager
def proxied(program: Path, folder: Path, origin: str) -> Iterator[tuple[str, Path]]:
    """Put Prism before a server; give its address and its log."""
    log = folder / "prism.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [str(program), "proxy", str(write_document(folder)), origin, "--port", "0"],
            stdout=output,
            stderr=output,
        )
    try:
        until = time.monotonic() + _START
        while (listens := _LISTENS.search(log.read_text(encoding="utf-8"))) is None:
            if time.monotonic() > until or process.poll() is not None:
                sys.exit(f"Prism did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.2)
        yield listens[1], log
    finally:
        process.terminate()
        process.wait()


def violations(program: Path, folder: Path, defects: Sequence[str], arguments: Sequence[str]) -> Counter[str]:
    """Run the suite through Prism; return how often it found what, and the answers that it saw under ``""``."""
    with served(folder, *(word for name in defects for word in ("--defect", name))) as text:
        origin = str(tomllib.loads(text)["base_url"])
        with proxied(program, folder, origin) as (url, log):
            target = folder / "target.toml"
            own = text.partition("[hpcs_tke]")[0]
            target.write_text(own.replace(f'base_url = "{origin}"', f'base_url = "{url}"', 1))
            command = [sys.executable, "-m", "kms_conformance", "run", "--quiet", "--target", str(target)]
            subprocess.run(
                [*command, "--report-dir", str(folder / "report"), *arguments],
                cwd=folder,
                check=False,
                timeout=_LONGEST,
            )
            told = log.read_text(encoding="utf-8")
    found = Counter(f"{where} {what}" for where, what in _VIOLATION.findall(told))
    found[""] = told.count("Received forward response")
    return found


def main() -> int:
    """Ask a broken reference and a sound one; print what was found."""
    program = installed()
    with tempfile.TemporaryDirectory() as name:
        broken = violations(program, Path(name), [BROKEN], ["-k", ITS_CASES])
    KEPT.mkdir(parents=True, exist_ok=True)
    sound = violations(program, KEPT, [], sys.argv[1:])
    if not any(what.startswith(_OF_ANSWERS) for what in broken):
        click.echo(f"Prism does not see the defect {BROKEN} in {broken['']} answers")
        return 1
    in_answers = {what: number for what, number in sound.items() if what.startswith(_OF_ANSWERS)}
    statuses = sum(number for what, number in sound.items() if what.startswith("response "))
    in_requests = sum(number for what, number in sound.items() if what.startswith("request"))
    click.echo(
        f"{sound['']} answers, {sum(in_answers.values())} violations in their bodies and headers,"
        f" {statuses} statuses that the document does not name, {in_requests} violations in requests"
    )
    for what, number in sorted(in_answers.items()):
        click.echo(f"{number:6} {what}")
    return int(bool(in_answers) or not sound[""])


if __name__ == "__main__":
    sys.exit(main())
