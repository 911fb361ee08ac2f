"""Views: the same request in another form has the same answer.

A view changes how a request is made, a key named by an alias instead of its id for example, and must not change its
outcome. The cases of a contract run again under each view that applies to them, and no case is changed for it. Which
views there are, from which source, and which cases opt out, says ``views.yaml``; the system's adapter makes the
requests. ``views-index.json`` says which outcomes of which operations each case asks for under each view: a gate runs
a sample that has each of them at least once, the other profiles run all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import yaml

from kms_conformance.contract.opt_outs import OptOut, OptOuts, opt_outs_of
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.errors import ContractError
from kms_conformance.run.context import CaseInfo
from kms_conformance.system import folder_of, system_of

_FLAT = str.maketrans({"[": "-", "]": None})
FILE, INDEX = "views.yaml", "views-index.json"


@dataclass(frozen=True, slots=True)
class View:
    """Another form of a request. ``row`` is the requirement that promises the same answer.

    ``unit`` is what a sample has at least once (see :func:`sample`). ``identities``, ``capabilities`` and ``impact`` are what the view needs beyond what its cases need.
    """

    id: str
    title: str
    row: str
    identities: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    impact: tuple[str, ...] = ()
    opt_outs: tuple[OptOut, ...] = ()
    unit: str = "outcomes"

    @staticmethod
    def flat(name: str) -> str:
        """Return a case's id without brackets, as it stands in the id of the case under a view and in the index."""
        return name.translate(_FLAT)

    def applied_to(self, info: CaseInfo) -> CaseInfo:
        """Return what a case declares when it runs under this view."""
        return replace(
            info,
            title=f"{info.title.removesuffix('.')} ({self.title})",
            covers=(*info.covers, self.row),
            identities=tuple(dict.fromkeys((*info.identities, *self.identities))),
            capabilities=tuple(dict.fromkeys((*info.capabilities, *self.capabilities))),
            impact=tuple(dict.fromkeys((*info.impact, *self.impact))),
            view=self.id,
        )

    def refuses(self, case_id: str, identities: Iterable[str] = ()) -> str:
        """Return why a case is not run under this view, ``""`` when it is.

        ``case_id`` is without the contract's name; ``identities`` are those that the case uses itself.
        """
        return OptOuts(self.id, self.identities, self.opt_outs).why(case_id, identities)


@cache
def views_of(contract: str) -> Mapping[str, View]:
    """Return the views of a contract by id; none where it has no ``views.yaml``.

    Raises :class:`ContractError` when the file is not what its schema says.
    """
    document = _read(contract, FILE)
    if document is None:
        return {}
    complaint = SCHEMA_FILES.complaint("views", document)
    if complaint:
        raise ContractError(f"{contract}/{FILE}", complaint)
    return {
        entry["id"]: View(
            id=entry["id"],
            title=entry["title"],
            row=entry["row"],
            identities=tuple(entry.get("identities", ())),
            capabilities=tuple(entry.get("capabilities", ())),
            impact=tuple(entry.get("impact", ())),
            unit=entry.get("sample", "outcomes"),
            opt_outs=opt_outs_of(entry).entries,
        )
        for entry in document["views"]
    }


@cache
def index_of(contract: str) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Return, by view and case, the outcomes that the case asks for under the view.

    An outcome reads "wrap key: 409 NAME @row"; the row is the first that the case covers.
    """
    document = _read(contract, INDEX)
    if document is None:
        return {}
    names: list[str] = document["outcomes"]
    return {
        view: {case: frozenset(names[number] for number in numbers) for case, numbers in cases.items()}
        for view, cases in document["views"].items()
    }


@cache
def requests_of(contract: str) -> Mapping[str, int]:
    """Return how many requests each case of the index sends."""
    document = _read(contract, INDEX)
    return {} if document is None else document["requests"]


def sample(
    cases: Mapping[str, frozenset[str]], unit: str, seed: int, requests: Mapping[str, int]
) -> frozenset[str]:
    """Return cases in which each outcome of the index occurs at least once, of few ``requests`` in all.

    ``unit`` says what counts as one outcome: ``refusals`` tells the same refusal in cases of different rows apart,
    ``outcomes`` does not, ``statuses`` leaves the reason code out, ``sides`` all but whether it is a refusal. Greedy: the
    case with most outcomes that are still missing for a request is next, and the seed decides among those that are nearly
    equal; what the later ones make superfluous is left out again.
    """
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    units = {case: {_unit(outcome, unit) for outcome in cases[case]} for case in sorted(cases)}
    cost = {case: requests.get(case, 1) * (1 + chance.random()) for case in units}
    missing = set().union(*units.values())
    chosen: list[str] = []
    while missing:
        best = max(units, key=lambda case: len(units[case] & missing) / cost[case])
        missing -= units[best]
        chosen.append(best)
    for case in sorted(chosen, key=lambda case: -cost[case]):
        if units[case] <= set().union(*(units[other] for other in chosen if other != case)):
            chosen.remove(case)
    return frozenset(chosen)


def _unit(outcome: str, unit: str) -> str:
    asked, _, _row = outcome.rpartition(" @")
    step, _, answer = asked.partition(": ")
    is_refusal = answer[:1] in {"4", "5"}
    match unit:
        case "sides":
            return f"{step}: {'refused' if is_refusal else 'done'}"
        case "statuses":
            return f"{step}: {answer.partition(' ')[0]}"
        case "refusals" if is_refusal:
            return outcome
    return asked


def chosen_pairs(contract: str, seed: int, *, whole: bool) -> frozenset[tuple[str, str]]:
    """Return the pairs of view and case that a run makes items of; ``whole``: all that the index knows."""
    index, views, requests = index_of(contract), views_of(contract), requests_of(contract)
    return frozenset(
        (view, case)
        for view, cases in index.items()
        if view in views
        for case in (cases if whole else sample(cases, views[view].unit, seed, requests))
    )


def _read(contract: str, name: str) -> Any:
    path = folder_of(system_of(contract).contract).joinpath(name)
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
