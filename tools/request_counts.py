"""Write ``contracts/requests.json`` from what runs against a served reference have counted.

Usage: ``python -m tools.request_counts FOLDER/requests.json``, where FOLDER is the journal's, after a run with
``--profile nightly`` or a gate. Cases that are gone are left out, those of other profiles stay.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kms_conformance.cli.judge_endpoint import collect
from kms_conformance.contract.case_index import listed_cases
from kms_conformance.pytest_plugin.plugin import State
from kms_conformance.run.expected import counts_of, text_of
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import contracts_by_default

SHIPPED = Path(__file__).parents[1] / "contracts" / "requests.json"


def main() -> None:
    """Merge the counts into the shipped file."""
    chosen = chosen_cases()
    functions = {case.id for contract in contracts_by_default(None) for case in listed_cases(contract)}
    # What a gate does not choose is of another profile, or gone: then its function is gone, or chosen otherwise.
    functions -= {case_id.partition("[")[0] for case_id in chosen}
    counts = counts_of(SHIPPED.read_text(encoding="ascii"))
    counts |= counts_of(Path(sys.argv[1]).read_text(encoding="ascii"))
    kept = {
        case_id: number
        for case_id, number in counts.items()
        if case_id in chosen or case_id.partition("[")[0] in functions
    }
    SHIPPED.write_text(text_of(kept), encoding="ascii")
    print(
        f"{len(kept)} cases, {sum(number.all for number in kept.values())} requests; not counted: {sorted(chosen - kept.keys())}"
    )


def chosen_cases() -> set[str]:
    """Return the ids of the cases of a run without options, parameters and views included."""
    session = Session(Options(contracts=contracts_by_default(None)))
    try:
        state = State(lambda: session, None)
        collect(session, state, ["--collect-only"])
        return {info.id for info in state.chosen}
    finally:
        session.close()


if __name__ == "__main__":
    main()
