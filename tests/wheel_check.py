"""Build the wheel, install it into a clean environment, and judge the embedded reference from there.

Run by ``make wheel``: a wheel that lacks a contract, a schema or a template would pass every other test.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent


def call(*command: str | Path, cwd: Path) -> str:
    """Run a command; end with its output when it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return done.stdout


def main() -> None:
    """Check the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        call(sys.executable, "-m", "build", "--wheel", "--outdir", work / "dist", ROOT, cwd=work)
        (wheel,) = (work / "dist").glob("*.whl")
        venv.create(work / "env", with_pip=True)
        python = work / "env" / "bin" / "python"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        call(*pip, "--constraint", ROOT / "constraints.txt", wheel, cwd=work)
        output = call(
            work / "env" / "bin" / "kms-conformance", "run", "--report-dir", work / "report", cwd=work
        )
        verdict = output.splitlines()[0]
        if not verdict.startswith("CONFORMANT"):
            sys.exit(f"the wheel's own run said: {verdict}")
        # That pytest finds plug-in and cases shows with the cases of one system.
        call(python, "-m", "pytest", "--pyargs", "kms_conformance.scenarios.iks", "-q", cwd=work)
        print(f"wheel {wheel.name}: {verdict}")  # noqa: T201 - this is a command


if __name__ == "__main__":
    main()
