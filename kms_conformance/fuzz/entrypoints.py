"""The bodies of the fuzz cases, as ``api`` hands them to authors."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kms_conformance.contract.corpus import Corpus, Entry, shipped_corpus
from kms_conformance.errors import BadValueError
from kms_conformance.fuzz.replay import Replay
from kms_conformance.run.outcomes import NotApplicable, NotTested

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.fuzz.requests import FuzzFixtures
    from kms_conformance.run.case import CaseRun


def replay_group(case: CaseRun, group: str) -> None:
    """Replay the requests that the corpus has for a group of operations, and judge every answer.

    Raises :class:`NotTested` or :class:`NotApplicable` where there is nothing to send.
    """
    options = case.context.fuzz
    demand_fuzzing(case)
    corpus = shipped_corpus(case.context.contract.id, whole=options.whole or bool(options.replay))
    if corpus is None:
        raise NotApplicable("the contract has no corpus")
    entries = _entries(corpus, group)
    if options.replay:
        entries = _wanted(options.replay, corpus, entries, group)
        if not entries:
            raise NotTested(f"--replay {options.replay} is not among these requests")
    Replay(case, fixtures_of(case.context.contract, case)).run(entries)


def fuzz_operation(case: CaseRun, operation: str, kind: str) -> None:
    """Let Schemathesis make requests of one operation, ``valid`` or ``invalid`` ones, and judge every answer."""
    from kms_conformance.fuzz.live import LiveFuzz  # noqa: PLC0415 - Schemathesis takes a second to load

    demand_fuzzing(case)
    LiveFuzz(case, fixtures_of(case.context.contract, case), operation, kind).run()


def walk(case: CaseRun, kind: str) -> None:
    """Walk through the life of things of a kind, and compare every answer with the system's model."""
    demand_fuzzing(case)
    module, _, name = str(case.context.contract.about["fuzz"]["walks"]).partition(":")
    getattr(import_module(module), name)(case).run(kind)


def demand_fuzzing(case: CaseRun) -> None:
    """Raise :class:`NotTested` where the run does not fuzz."""
    if not case.context.fuzz.on:
        raise NotTested("leave out --no-fuzz")


def fixtures_of(contract: Contract, case: CaseRun) -> FuzzFixtures:
    """Return what fills the placeholders, from the adapter that the contract names."""
    module, _, name = str(contract.about["fuzz"]["fixtures"]).partition(":")
    fixtures: FuzzFixtures = getattr(import_module(module), name)(case)
    return fixtures


def _wanted(replay: str, corpus: Corpus, entries: list[Entry], group: str) -> list[Entry]:
    """Return the request that ``--replay`` names: by its number in the corpus, or by the file of a finding."""
    path = Path(replay)
    if path.suffix != ".json":
        return [entry for entry in entries if entry.id == replay]
    try:
        entry = Entry.of_line(0, path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise BadValueError(
            "--replay",
            replay,
            f"it is no finding ({type(error).__name__})",
            "give the id or the file that the report names.",
        ) from None
    return [entry] if entry.operation in corpus.about["groups"].get(group, ()) else []


def _entries(corpus: Corpus, group: str) -> list[Entry]:
    wanted = set(corpus.about["groups"].get(group, ()))
    return [entry for entry in corpus.entries if entry.operation in wanted]
