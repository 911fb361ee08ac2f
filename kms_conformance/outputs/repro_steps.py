"""The sequence of a failed case as data: each request, what it takes from earlier answers, and the promises that were broken."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from kms_conformance.contract.contract import Contract
from kms_conformance.contract.schemas import SCHEMA_FILES, load_schema
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import CLOCK, NOW, Exchange
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.evidence.serialization import to_document
from kms_conformance.judging.expectation import Member
from kms_conformance.judging.histories import ONE_ORDER
from kms_conformance.judging.judge import mismatch
from kms_conformance.judging.results import CaseResult
from kms_conformance.outputs.repro_frames import Recipes, frames_of
from kms_conformance.outputs.repro_model import packed_model
from kms_conformance.outputs.repro_moments import whole_history
from kms_conformance.outputs.repro_needs import places_needed
from kms_conformance.outputs.repro_paging import (
    counted_by,
    is_page,
    of_earlier_pages,
    page_of,
    with_count_first,
)
from kms_conformance.outputs.repro_promises import bare, broken_of, command_of, open_to, outcomes_of
from kms_conformance.outputs.repro_rules import rule_of
from kms_conformance.outputs.repro_shown import Place, groups_of, shown_in, telling
from kms_conformance.outputs.repro_values import UUID, VARIABLE

CLEAN_UP = "clean-up"
_SENT_BY_RUNTIME = frozenset(
    {
        "user-agent",
        "correlation-id",
        "authorization",
        "accept-encoding",
        "connection",
        "host",
        "content-length",
    }
)
_PIECE, _DIGIT = re.compile(r"(?<![\w-])[0-9a-f-]{8,35}(?![\w-])"), re.compile(r"\d")
_HEX = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r'"\$ref": "([^"#]+)')
_OK, _CREATED, _BAD_REQUEST = 200, 201, 400
_CREDENTIAL = "credential"
"""The note on how a credential was made, by whoever sends requests."""
_ONLY_READ = frozenset({"GET", "HEAD"})
_TRIES, _FEWEST_TRIES, _REQUESTS = 14, 3, 400
"""Tries where chance decides, and fewer where these would be so many requests."""
_LONGEST_MADE = 64
"""Bytes of what a case makes itself; what is longer is of the endpoint."""
_UNSENDABLE = (
    (re.compile(r"<\d+ bytes>"), "the record holds only the size of a body that it sends"),
)  # fmt: skip
Ref = tuple[int, list[Any]]
"""The same as data, where a part of the path may be the entry of a list with a certain value."""


class RecordedSequence:
    """The requests of a case up to the first broken promise, in the order in which they were sent."""

    def __init__(self, case: CaseResult, contract: Contract, base: str, owners: Mapping[str, str]) -> None:
        """Take the requests; ``owners`` tells whose a credential is."""
        self._contract, self._base, self._owners = contract, base, owners
        self._stated = case.expectations
        judged = [exchange for exchange in case.exchanges if exchange.notes.get("phase") != CLEAN_UP]
        judged.sort(key=lambda exchange: exchange.started)
        failed_exchanges = {
            finding.exchange for finding in case.findings if finding.severity is Verdict.FAILED
        }
        # What else is broken after the first may follow from it.
        last = next((place for place, exchange in enumerate(judged) if exchange.id in failed_exchanges), -1)
        # Of a history the model judges all answers, however many came at once.
        states_order = any(
            member.check == ONE_ORDER
            for one in case.expectations
            if one.exchange in failed_exchanges
            for member in one.members
        )
        if last >= 0:
            judged = with_count_first(judged, last, case.expectations)
            last = next(place for place, exchange in enumerate(judged) if exchange.id in failed_exchanges)
        groups = groups_of(judged, len(judged)) if states_order else groups_of(judged)
        # What was asked at the same moment belongs to it.
        end = len(groups) - groups[::-1].index(groups[last]) if groups and last >= 0 else 0
        self.exchanges, self.groups = judged[:end], groups[:end]
        self.broken = {exchange.id: broken_of(case, exchange) for exchange in self.exchanges}
        self.broken |= of_earlier_pages(case, self.exchanges, self.broken)
        together = [
            one.id for one, group in zip(self.exchanges, self.groups, strict=True) if group == self.groups[-1]
        ]
        stated = [one for name in together for one in self.broken[name]]
        for name in together:
            # What is stated of each of several that were sent at the same moment, any of them may break.
            self.broken[name] += [
                one
                for one in case.expectations
                if one.exchange == name
                and one not in self.broken[name]
                and any(replace(one, exchange=other.exchange) == other for other in stated)
            ]
        self._rules = {
            exchange.id: [
                rule
                for finding in case.findings
                if finding.exchange == exchange.id
                and finding.severity is Verdict.FAILED
                and (rule := rule_of(finding, exchange, contract)) is not None
            ]
            for exchange in self.exchanges
        }
        self._shown = shown_in(self.exchanges)
        self._telling: dict[str, None] = {}
        self._correlations = Counter(one.sent.headers.get(contract.correlation, "") for one in self.exchanges)
        self._damaged: set[str] = set()
        for exchange in self.exchanges:
            for note in json.loads(exchange.notes.get("before", "[]")):
                if note[0] == "control":
                    # What the control protocol has made is known from its answer, which is no evidence.
                    self._shown.pop(str(note[-1]), None)
                elif note[0] == "damage":
                    self._damaged.add(str(note[-1]))

    @cached_property
    def _frames(self) -> tuple[Recipes, str]:
        """How the body of each request is made anew, or why that is not known."""
        frames = frames_of(self._contract.id)
        try:
            recipes = frames.recipes(self.exchanges, self.groups) if frames else []
        except ValueError as error:
            return [], str(error)
        return recipes or [None] * len(self.exchanges), ""

    @property
    def has_frames(self) -> bool:
        """Whether a request's body is made anew by its system."""
        return any(recipe is not None for recipe in self._frames[0])

    def cannot(self) -> str:
        """Return why the requests cannot be sent again by a script, or ``""``."""
        for exchange in self.exchanges:
            if exchange.notes.get("raw"):
                return "it sends a request that no client would send"
            credential = exchange.sent.headers.get("authorization", "")
            is_told = exchange.notes.get("signed") or exchange.notes.get(_CREDENTIAL)
            if "<" in credential and credential not in self._owners and not is_told:
                return "it sends a token of its own making"
            sent = exchange.sent
            whole = f"{json.dumps(sent.body)} {sent.text or ''} {json.dumps(dict(sent.headers))}"
            for pattern, why in _UNSENDABLE:
                if pattern.search(whole):
                    return why
            for token, form in json.loads(exchange.notes.get("forms", "{}")).items():
                sealed = token[1:].partition(":")[0] in self._contract.about.get("sealed", ())
                long = int(form.rpartition(" ")[2]) > _LONGEST_MADE and form.startswith("base64")
                if sealed and long and token not in self._shown and token not in self._damaged:
                    return "it sends a part of a ciphertext, and the record holds no ciphertexts"
        if self.is_history and not packed_model(self._contract.id):
            return "what several clients were answered at once is judged by a model, which needs more than Python"
        if not any(self.broken.values()) and not any(self._rules.values()):
            return "what failed is no promise of one answer"
        return self._frames[1]

    @property
    def is_history(self) -> bool:
        """Whether a promise is about several answers at once."""
        members = (member for broken in self.broken.values() for one in broken for member in one.members)
        return any(member.check == ONE_ORDER for member in members)

    @property
    def is_by_chance(self) -> bool:
        """Whether chance decides what is broken: requests at the same moment, or pages or the order of a list of random ids."""
        last = self.exchanges[-1]
        by_order = any(
            member.check == "sorted" or (member.check == "selects" and member.value[2])
            for one in self.broken[last.id]
            for member in one.members
        )
        return self._most_at_once > 1 or by_order or is_page(last.sent.url)

    @property
    def _most_at_once(self) -> int:
        """How many requests are sent at the same moment that do not only read, or are judged."""
        return max(
            self.groups.count(group)
            for group, one in zip(self.groups, self.exchanges, strict=True)
            if one.sent.method not in _ONLY_READ or group == self.groups[-1]
        )

    @property
    def tries(self) -> int:
        """How often the sequence is sent, until a promise is broken: each of those at the same moment comes first, twice."""
        if not self.is_by_chance:
            return 1
        wanted = max(_TRIES, 2 * (self._most_at_once + 1))
        return max(_FEWEST_TRIES, min(wanted, _REQUESTS // len(self.exchanges)))

    def steps(self) -> list[dict[str, Any]]:
        """Return each request as data."""
        steps = [self._step(place, exchange) for place, exchange in enumerate(self.exchanges)]
        needed = places_needed(steps)
        for step, exchange in zip(steps, self.exchanges, strict=True):
            succeeded = exchange.answer is not None and exchange.answer.status < _OK + 100
            # Which of several at the same moment succeed, the model judges.
            open_to_all = self.is_history and self.groups.count(step["group"]) > 1
            again = self._asked_again(step["place"])
            if again is not None:
                step["again"] = again
            step["needed"] = (
                succeeded and step["place"] in needed and not step["promises"] and not open_to_all
            )
        return steps

    def _asked_again(self, place: int) -> int | None:
        """Return the step that asks what this one has asked, because the answer was not as that step's promises want it.

        Where the answer here is, the case would not have asked again, and what it has asked after it would tell nothing.
        """
        last = next(
            (number for number, one in enumerate(self.exchanges) if self.broken[one.id]), len(self.groups)
        )
        between = self.exchanges[place : last + 1]
        if not place < last < len(self.groups) or self.groups.count(self.groups[last]) > 1 or self.is_history:
            return None
        same = {(one.operation, one.sent.method, command_of(one)) for one in between}
        if len(same) > 1 or between[0].sent.method in _ONLY_READ:
            return None
        # Without the schemas: what a body has to be is no reason to ask again.
        promises = [
            replace(one, outcomes=tuple(replace(outcome, schema=None) for outcome in one.outcomes))
            for one in self.broken[between[-1].id]
        ]
        return last if all(mismatch(one, between[0], SCHEMA_FILES) for one in promises) else None

    def clean_up(self) -> Iterator[dict[str, Any]]:
        """Yield a request for each thing that a sequence makes by POST and that a DELETE of the same path removes."""
        for place, exchange in enumerate(self.exchanges):
            body = exchange.answer.body if exchange.answer is not None else None
            match body:
                case {"resources": [{"id": str() as made_id}, *_]} if self._makes(place):
                    step = self._request(place, exchange)
                    path = step["target"].partition("?")[0]
                    refs = {**step["from"], made_id: (place, ["resources", "0", "id"])}
                    yield {**step, "method": "DELETE", "target": f"{path}/{made_id}", "body": None,
                           "text": None, "step": "clean up", "from": refs}  # fmt: skip

    def schemas(self) -> dict[str, Any]:
        """Return the schemas that promises name, and those that these refer to."""
        names = [
            outcome.schema for broken in self.broken.values() for one in broken for outcome in one.outcomes
        ]
        for rule in (rule for rules in self._rules.values() for _, rule in rules):
            names += [rule.get("schema"), *rule.get("schemas", {}).values()]
        schemas: dict[str, Any] = {}
        while names:
            name = names.pop()
            if name and name not in schemas:
                schemas[name] = load_schema(name, self._contract.system.schemas)
                names += [
                    file.rpartition("/")[2].removesuffix(".schema.json")
                    for file in _FILE.findall(json.dumps(schemas[name]))
                ]
        return {name: bare(schemas[name]) for name in sorted(schemas)}

    # --- one step -----------------------------------------------------------------------------------------------------

    def _step(self, place: int, exchange: Exchange) -> dict[str, Any]:
        promises: list[list[Any]] = [
            [
                f"{broken.description()} ({broken.requirement})",
                [to_document(outcome) for outcome in outcomes_of(broken, exchange)],
                [
                    {
                        "path": member.path,
                        "at": self._path(place, member.path),
                        "check": member.check,
                        "value": whole_history(self.exchanges, member.value)
                        if member.check == ONE_ORDER
                        else member.value,
                        "from": {} if member.check == ONE_ORDER else self._sources_of_member(place, member),
                        "page": page_of(self.exchanges, place, member),
                        "same": self._shown_empty(place, member),
                        "count": counted_by(self.exchanges, place, member),
                    }
                    for member in broken.members
                ],
                [],
            ]
            for broken in self.broken[exchange.id]
        ]
        # Which of several that were sent at the same moment breaks a rule of every exchange, chance decides.
        together = [
            rule
            for other, group in zip(self.exchanges, self.groups, strict=True)
            for rule in self._rules[other.id]
            if group == self.groups[place]
        ]
        promises += [[promise, [], [], [rule]] for promise, rule in together]
        return {
            **self._request(place, exchange),
            "place": place,
            "group": self.groups[place],
            **(self._moment(place, exchange) if self._may_meet(place) else {}),
            "started": round(exchange.started, 3),
            "before": [
                [note, self._sources(place, json.dumps(note, ensure_ascii=False))]
                for note in json.loads(exchange.notes.get("before", "[]"))
                if note[0] not in {NOW, CLOCK}
            ],
            "promises": promises,
            "open": open_to(self._stated, exchange),
        }

    def _may_meet(self, place: int) -> bool:
        return self.is_history or self.groups.count(self.groups[place]) > 1

    def _moment(self, place: int, exchange: Exchange) -> dict[str, Any]:
        """Return what the model has to know of a request, and how long after the first of its group it was sent."""
        first = self.exchanges[self.groups.index(self.groups[place])]
        return {
            "operation": exchange.operation,
            "identity": exchange.identity,
            "offset": round(exchange.started - first.started, 4),
        }

    def _request(self, place: int, exchange: Exchange) -> dict[str, Any]:
        sent, signed = exchange.sent, exchange.notes.get("signed", "").split(",")
        credential = exchange.notes.get(_CREDENTIAL, "")
        is_forged = credential and sent.headers.get("authorization", "") not in self._owners
        own = {"authorization"} if is_forged else set()
        correlation = self._contract.correlation
        headers = {
            name: value
            for name, value in sent.headers.items()
            if (
                name not in _SENT_BY_RUNTIME
                or (name == "authorization" and value not in self._owners)
                # One that several requests share belongs to the sequence.
                or (name == correlation and self._correlations[value] > 1)
            )
            and name not in {*signed, *own}
        }
        target = sent.url.removeprefix(self._base)
        body = sent.body if sent.text is None else None
        frame = self._frames[0][place]
        if frame is not None:
            body = None
        return {
            **({} if frame is None else {"frame": frame}),
            "step": exchange.step,
            "method": sent.method,
            "target": target,
            "headers": headers,
            "token_of": self._owners.get(sent.headers.get("authorization", ""), ""),
            "signed": any(signed),
            **({"credential": [exchange.identity, json.loads(credential)]} if is_forged else {}),
            "body": body,
            "text": sent.text if frame is None else None,
            "from": {
                **self._sources(
                    place, json.dumps([body, "" if frame else sent.text], ensure_ascii=False), in_body=True
                ),
                **self._sources(
                    place, f"{unquote(target)}\n{target}\n{json.dumps(headers, ensure_ascii=False)}"
                ),
            },
        }

    def _sources(self, place: int, text: str, *, in_body: bool = False) -> dict[str, Ref]:
        """Return for each value in a request where an earlier answer has shown it."""
        sources = {}
        for value in self._values_in(text):
            shown = [one for one in self._shown[value] if one[0] < place]
            # What is answered at the same moment is not known yet, unless one client waits for it.
            earlier = [one for one in shown if self.groups[one[0]] != self.groups[place]] or shown
            if earlier:
                lists = [one for one in earlier if in_body and self._is_part(one[0])]
                # A thing that was made twice in the record is two things elsewhere, of which the last one is meant.
                makings = [one for one in earlier if self._makes(one[0]) and one[1] == earlier[0][1]]
                sources[value] = self._ref((lists or (makings if len(makings) > 1 else earlier[:1]))[-1])
        return sources if in_body else {**self._pieces(place, text), **sources}

    def _pieces(self, place: int, text: str) -> dict[str, Ref]:
        """Return for each piece of an id in an address which part of it that is: a search may ask for one."""
        pieces: dict[str, Ref] = {}
        ids = [value for value in self._shown if UUID.fullmatch(value) or _HEX.fullmatch(value)]
        for piece in dict.fromkeys(_PIECE.findall(text)):
            whole = next((one for one in ids if piece in one and self._shown[one][0][0] < place), None)
            if whole is not None and _DIGIT.search(piece):
                number, path = self._ref(self._shown[whole][0])
                start = whole.index(piece)
                pieces[piece] = number, [*path, {"from": start, "to": start + len(piece)}]
        return pieces

    def first(self) -> dict[str, Ref]:
        """Return where each value that tells the entries of lists apart was shown first."""
        return {
            value: self._ref(self._shown[value][0], is_first=True)
            for value in self._telling
            if value in self._shown
        }

    def _ref(self, place: Place, *, is_first: bool = False) -> Ref:
        number, path = place
        return number, path.split(".") if is_first else self._path(number, path)

    def _path(self, number: int, path: str) -> list[Any]:
        """Return a path in an answer, in which an entry of a longer list is named by a value that only it has."""
        parts: list[Any] = path.split(".") if path else []
        answer = self.exchanges[number].answer
        document = answer.body if answer is not None else None
        for place, part in enumerate(parts):
            if isinstance(document, list) and part.isdigit() and int(part) < len(document):
                member = telling(document)
                value = pick(document[int(part)], member) if member else MISSING
                if parts[place + 1 :] != [member] and isinstance(value, str) and value:
                    parts[place] = [member, value]
                    self._telling[value] = None
            document = pick(document, part)
        return parts

    def _sources_of_member(self, place: int, member: Member) -> dict[str, Ref]:
        """Return for each value of a promise where it was shown before: at best in the same place of the same answer."""
        sources = {}
        url = self.exchanges[place].sent.url
        for value in self._values_in(json.dumps(member.value, ensure_ascii=False)):
            earlier = [one for one in self._shown[value] if one[0] < place]
            same = [one for one in earlier if one[1] == member.path]
            again = [one for one in same if self.exchanges[one[0]].sent.url == url]
            here = [one for one in self._shown[value] if one[0] == place and one[1] != member.path]
            if earlier or here:
                best = again or same or earlier[:1] or here[:1]
                sources[value] = self._ref(best[-1])
        return sources

    def _shown_empty(self, place: int, member: Member) -> list[Any]:
        """Return which answer has shown a member empty before, of which a promise says that it stays so."""
        url = self.exchanges[place].sent.url
        earlier = [
            number
            for number, one in enumerate(self.exchanges[:place])
            if one.sent.url == url and one.answer is not None and pick(one.answer.body, member.path) == ""
        ]
        return (
            [earlier[-1], member.path.split(".")]
            if member.check == "equals" and member.value == "" and earlier
            else []
        )

    def _values_in(self, text: str) -> Iterable[str]:
        variable = (value for value in VARIABLE.findall(text) if value in self._shown)
        other = (
            value
            for value in self._shown
            if not VARIABLE.fullmatch(value)
            # A name of several parts may be the beginning of another one, and stands for itself only as a whole.
            and _stands_in(text, value)
        )
        return dict.fromkeys((*variable, *other))

    def _makes(self, place: int) -> bool:
        """Tell whether an answer is that to a request that has made something."""
        exchange = self.exchanges[place]
        return (
            exchange.sent.method == "POST"
            and exchange.answer is not None
            and exchange.answer.status == _CREATED
        )

    def _is_part(self, place: int) -> bool:
        """Tell whether an answer lists parts of a thing, such as versions of a key: ids of these are read nowhere else."""
        exchange = self.exchanges[place]
        return exchange.sent.method == "GET" and VARIABLE.search(exchange.sent.path) is not None


def _stands_in(text: str, value: str) -> bool:
    """Tell whether a value stands in a text as a word of its own; one of several parts may be the beginning of another, and has to be all."""
    if ":" in value:
        return f'"{value}"' in text or value == text
    return (
        value in text and re.search(rf"(?<![0-9A-Za-z]){re.escape(value)}(?![0-9A-Za-z])", text) is not None
    )
