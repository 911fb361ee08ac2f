"""Runs a few cases against a server, all reports included, and tells how that ended and how much memory it took.

A process of its own: ``python -m hostile_run FOLDER PLACE CONTRACT EXPRESSION TARGET``, the target as JSON.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from runs import run_cases

from kms_conformance.outputs.files import prepare
from kms_conformance.target.target import build_target

# Plug-ins that no case here needs, and whose loading takes longer than all the rest.
WITHOUT = [
    word for name in ("schemathesis", "hypothesispytest", "allure_pytest") for word in ("-p", f"no:{name}")
]


def main() -> None:
    """Run the cases; print one line of JSON."""
    folder, place, contract, expression, target = sys.argv[1:]
    begun = time.process_time()
    report = Path(folder)
    prepare(report)
    own = Path(place).exists()
    run = run_cases(
        build_target(json.loads(target), {}),
        *WITHOUT,
        *(["-k", expression] if expression else []),
        *([] if own else ["--pyargs"]),
        place=place,
        contracts=(contract,),
        report_dir=report,
        jobs=2,
    )
    sys.stdout.write(
        json.dumps(
            {
                "exit_code": int(run.exit_code),
                "counts": run.counts,
                "got": sorted({finding.got[:200] for case in run.cases for finding in case.findings}),
                "messages": sorted({case.message[:200] for case in run.cases}),
                "peak_mib": peak(),
                "cpu_s": time.process_time() - begun,
            }
        )
    )


def peak() -> float:
    """Return the most memory that this program has held, in MiB; `getrusage` would count what started it, too."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


main()
