"""The report in reports/sample: some of Key Protect's cases on a server with three defects.

`make sample` makes it anew; `tests/outputs/test_sample.py` says when that is due.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "reports" / "sample"
DEFECTS = ("rotation-unlimited", "enable-without-wait", "alias-used-twice")
SELECTION = "not laws and not fuzz and (rotation or aliases or alias_rules or used_keys or restored_keys or suspended)"
NON_CONFORMANT = 1


def arguments(place: str) -> list[str]:
    """Return what the command line is given."""
    defects = [word for defect in DEFECTS for word in ("--defect", defect)]
    options = ["--contract", "key_protect", "--no-fuzz", *defects, "-k", SELECTION]
    return ["run", *options, "--report-dir", place]


def main() -> int:
    """Make the report anew; return the exit code."""
    shutil.rmtree(PLACE, ignore_errors=True)
    place = PLACE.relative_to(ROOT).as_posix()
    command = [sys.executable, "-m", "kms_conformance", *arguments(place)]
    return int(subprocess.run(command, cwd=ROOT, check=False).returncode != NON_CONFORMANT)


if __name__ == "__main__":
    sys.exit(main())
