"""``kms-conformance explain CODE``: what a refusal means and who checks it; ``explain -`` reads a log."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import click

from kms_conformance.cli.explanation import Explanation
from kms_conformance.cli.log_lines import lines
from kms_conformance.contract.contract import (
    Contract,
    load_contract,
    short_anchor,
)
from kms_conformance.contract.lookup import in_log, is_heading, named, pasted
from kms_conformance.contract.phrases import Kind
from kms_conformance.errors import BadValueError, did_you_mean
from kms_conformance.outputs.text import plural
from kms_conformance.system import systems

_IN_FULL = 3
_LONGEST_ECHO = 200


@click.command("explain")
@click.argument("code", nargs=-1, required=True, metavar="CODE")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a document (of a log: one a line) instead of text."
)
def command(code: tuple[str, ...], *, as_json: bool) -> None:
    """Explain CODE.

    A reason code, a section of the source page (anchor, number or heading), a row's id, any text with a code or a
    message in it, or return and reason code of a crypto module (209/71). With - as CODE a log is read from standard
    input, and every known refusal in it is named with its line.
    """
    wanted = " ".join(code).strip()
    contracts = [load_contract(contract_id) for contract_id in by_weight()]
    if wanted == "-":
        _explain_log(contracts, sys.stdin.buffer, as_json=as_json)
        return
    answers = explained(contracts, wanted)
    if not answers:
        near = did_you_mean(wanted.casefold(), names := known_names(contracts))
        hint = (
            f"did you mean {names[near]}?"
            if near
            else "`kms-conformance explain KEY_DELETED_ERR` is an example."
        )
        shown = textwrap.shorten(wanted, _LONGEST_ECHO, placeholder=" ...")
        raise BadValueError("CODE", shown, "no contract knows such a code, section or row", hint)
    if as_json:
        click.echo(json.dumps({"line": None, "answers": [one.document() for one in answers]}, indent=2))
    else:
        click.echo("\n".join(_in_full(answers)))


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
    """Yield the lines that explain a code, a section, a row or a text; none when the contract does not know it."""
    yield from _in_full(explained([contract], wanted))


def explained(contracts: list[Contract], wanted: str) -> list[Explanation]:
    """Return what the contracts know of a name; of no name, what they recognise in the text, the likeliest first."""
    by_name = [
        explanation for contract in contracts if (explanation := _by_name(contract, wanted)) is not None
    ]
    if by_name:
        return by_name
    answers = pasted(contracts, wanted)
    if all(answer.kind > Kind.MESSAGE for answer in answers):
        for contract in contracts:
            anchor = is_heading(contract, wanted)
            if anchor:
                return [Explanation(contract, section=contract.sections[anchor], by="heading")]
    return [Explanation.of(answer) for answer in answers]


def _by_name(contract: Contract, wanted: str) -> Explanation | None:
    code = named(contract, wanted)
    if code is not None:
        return Explanation(contract, code=code)
    section = (
        contract.sections.get(wanted)
        or contract.sections.get(short_anchor(wanted))
        or _numbered(contract, wanted)
    )
    if section is not None:
        return Explanation(contract, section=section)
    row = contract.requirements.get(wanted)
    return Explanation(contract, row=row) if row is not None else None


def _in_full(answers: list[Explanation]) -> Iterator[str]:
    """Yield several answers: the likeliest in full, the others in one line each."""
    if len(answers) > 1 and answers[0].by != "name":
        yield f"{len(answers)} answers fit this text, the likeliest first:"
        yield ""
    for place, one in enumerate(answers[:_IN_FULL]):
        yield from [""] if place else []
        yield from one.lines()
    if len(answers) > _IN_FULL:
        yield ""
        yield "also possible:"
        yield from (f"  {one.headline()}" for one in answers[_IN_FULL:])


def _explain_log(contracts: list[Contract], log: BinaryIO, *, as_json: bool) -> None:
    """Name each refusal of a log as it is read, then explain each kind once."""
    first: dict[str, Explanation] = {}
    times: Counter[str] = Counter()
    for refusal in in_log(contracts, lines(log)):
        answers = [Explanation.of(answer) for answer in refusal.answers]
        for one in answers:
            first.setdefault(one.name, one)
        times[answers[0].name] += 1
        if as_json:
            document = {"line": refusal.line, "answers": [one.document() for one in answers]}
            click.echo(json.dumps(document))
        else:
            others = ", ".join(one.name for one in answers[1:])
            click.echo(f"line {refusal.line}: {answers[0].headline()}{f', or {others}' if others else ''}")
    if not first:
        raise BadValueError(
            "CODE",
            "-",
            "standard input holds no code or message that a contract knows",
            "give the log as it was written, for instance `kms-conformance explain - < run.log`.",
        )
    if not as_json:
        click.echo(f"\n{plural(times.total(), 'refusal')} of {plural(len(times), 'kind')}")
        for name in times:
            click.echo("\n" + "\n".join(first[name].lines()))


def _numbered(contract: Contract, wanted: str) -> Mapping[str, Any] | None:
    if not wanted.isdigit():
        return None
    return next(
        (section for section in contract.sections.values() if section.get("number") == int(wanted)), None
    )
