"""``kms-conformance explain CODE``: what a refusal means and who checks it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import (
    Contract,
    ReasonCode,
    load_contract,
    short_anchor,
)
from kms_conformance.contract.lookup import recognised
from kms_conformance.errors import BadValueError, did_you_mean
from kms_conformance.system import systems

_WIDTH = 100


@click.command("explain")
@click.argument("code", nargs=-1, required=True, metavar="CODE")
def command(code: tuple[str, ...]) -> None:
    """Explain CODE.

    A reason code, a section of the source page (anchor or number), a row's id, the text of a message, or return and
    reason code of a crypto module (209/71).
    """
    wanted = " ".join(code).strip()
    contracts = [load_contract(contract_id) for contract_id in by_weight()]
    told = [lines for contract in contracts if (lines := list(explain(contract, wanted)))]
    if not told:
        near = did_you_mean(wanted.casefold(), names := known_names(contracts))
        hint = (
            f"did you mean {names[near]}?"
            if near
            else "`kms-conformance explain KEY_DELETED_ERR` is an example."
        )
        raise BadValueError("CODE", wanted, "no contract knows such a code, section or row", hint)
    click.echo("\n\n".join("\n".join(lines) for lines in told))


def by_weight() -> list[str]:
    """Return the contracts in the order of their systems: first the one that is judged by when nobody says otherwise."""
    return list(systems())


def known_names(contracts: Iterable[Contract]) -> dict[str, str]:
    """Return all that can be explained, by its name in small letters."""
    return {
        name.casefold(): name
        for contract in contracts
        for names in (contract.sections, contract.requirements, contract.codes)
        for name in names
    }


def explain(contract: Contract, wanted: str) -> Iterator[str]:
    """Give the lines that explain a code, a section or a row; none when the contract does not know it."""
    named = contract.code_named(wanted)
    known = [named] if named is not None else recognised(contract, wanted)
    section = (
        contract.sections.get(wanted)
        or contract.sections.get(short_anchor(wanted))
        or _numbered(contract, wanted)
    )
    row = contract.requirements.get(wanted)
    if known:
        for place, code in enumerate(known):
            yield from [""] if place else []
            yield from _explain_code(contract, code)
    elif section is not None:
        yield f"Section {section.get('number', '')} {section['title']}".strip()
        yield f"  page: {contract.link(str(section['anchor']))}"
        for code in section.get("codes", ()):
            yield ""
            yield from _explain_code(contract, contract.codes[code])
    elif row is not None:
        yield f"{row.id}  ({row.level}, {row.evidence})"
        yield from _paragraph("rule", row.text)
        yield f"  section: {row.section}"
        if row.code:
            yield f"  code: {row.code}"
        yield from _cases(contract, {row.id})


def _explain_code(contract: Contract, known: ReasonCode) -> Iterator[str]:
    status = (
        "HTTP " + " or ".join(map(str, known.statuses)) if known.status_judged else "whatever error status"
    )
    yield f"{known.code}  {status}  ({contract.title}, {'documented' if known.documented else known.evidence})"
    for anchor in known.sections:
        section = contract.sections.get(anchor)
        if section is not None:
            yield f"  section {section.get('number', '')}: {section['title']}  {contract.link(anchor)}"
    if known.messages or contract.reason.summary:
        yield from _paragraph(
            "message", known.messages[0] if known.messages else "(no reasons in the answer)"
        )
    for text in known.messages[1:]:
        yield from _paragraph("or", text)
    yield from _paragraph("symptom", known.symptom)
    yield from _paragraph("cause", known.cause)
    yield from _paragraph("resolution", known.resolution)
    yield from _paragraph("how to provoke it", known.provoke)
    yield from _paragraph("what to answer", known.answer)
    yield from _cases(contract, {row.id for row in contract.requirements.values() if row.code == known.code})


def _cases(contract: Contract, rows: set[str]) -> Iterator[str]:
    cases = [case for case in listed_cases(contract.id) if rows.intersection(case.covers)]
    yield f"  checked by {len(cases)} case{'s' if len(cases) != 1 else ''}:"
    for case in cases:
        yield f"    {case.id}: {case.title}"


def _paragraph(title: str, text: str) -> Iterator[str]:
    if text:
        yield from textwrap.wrap(f"{title}: {text}", _WIDTH, initial_indent="  ", subsequent_indent="    ")


def _numbered(contract: Contract, wanted: str) -> Mapping[str, Any] | None:
    if not wanted.isdigit():
        return None
    return next(
        (section for section in contract.sections.values() if section.get("number") == int(wanted)), None
    )
