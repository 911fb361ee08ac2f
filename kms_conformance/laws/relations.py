"""Law 3: lists are queries. What a list shows is what the subjects' own replies say, filtered by us.

``relations.yaml`` names the lists of a system and asks questions of them: *filtered* (a list holds nothing but what the filter selects), *sorted*,
*pages* (put together they are the whole, each entry once), *limits* (at their bounds and beyond). Each filter is also put
to whatever counts, and the questions of a case are joined in pairs. Others may come and go on the instance: only our own
things are judged, unless the ``scope`` of a case holds nothing but ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, cycle
from typing import Any

from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.laws.conditions import holds
from kms_conformance.laws.entries import LawCase, law_file
from kms_conformance.laws.request import Subjects, System, all_read, filled, request_of
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive


@dataclass(slots=True)
class Question:
    """One list request: its filter, which entries have to come, and in what order."""

    row: str
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    where: dict[str, Any] = field(default_factory=dict)
    by: list[list[Any]] = field(default_factory=list)
    first: str = ""
    tells: dict[str, Any] = field(default_factory=dict)
    scoped: bool = True
    asker: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any], marks: Mapping[str, Any], row: str = "") -> Question:
        """Return the question that data describes."""
        members = filled({**data}, marks)
        return cls(
            row=members.get("row", row),
            query=dict(members.get("query", {})),
            headers=dict(members.get("headers", {})),
            where=dict(members.get("where", {})),
            by=[list(pair) for pair in members.get("by", ())],
            first=members.get("first", ""),
            tells=dict(members.get("tells", {})),
            scoped=members.get("scoped", True),
        )

    def joined(self, other: Question) -> Question:
        """Return the question that asks for both."""
        return Question(
            self.row,
            self.query | other.query,
            self.headers | other.headers,
            {"all": [self.where, other.where]},
            self.by or other.by,
            scoped=self.scoped and other.scoped,
            asker=self.asker,
        )


class Relations:
    """One case of the law, on one set of subjects."""

    def __init__(self, system: System, case: LawCase) -> None:
        """Make the subjects."""
        self.system, self.data = system, case.data
        self.list: Mapping[str, Any] = law_file(system.case.info.contract, "relations")["lists"][
            case.data["list"]
        ]
        self.subjects: Subjects = system.subjects(case.data["subjects"])
        self.marks = self.subjects.marks
        self.scope = filled({**case.data.get("scope", {})}, self.marks)
        # Without a scope of our own, a list holds nothing but ours only where the instance is ours.
        self.exact = bool(self.scope) or system.alone
        self.ours = [self._id(entry) for entry in self.subjects.entries]
        self.untelling: list[str] = []
        named = system.case.context.target.identities
        askers = ("", *(name for name in self.list.get("askers", ()) if name in named))
        self.askers = cycle([case.data["as"]] if "as" in case.data else askers)

    def run(self) -> None:
        """Send every question of the case, then every pair of them joined."""
        all_read(self.system.case, [*self._each(), *self._pairs()])
        if self.untelling:
            raise Inconclusive(
                f"by what our things show of themselves, {self.untelling[0]} selects what the list shows without it"
            )

    # --- the questions --------------------------------------------------------------------------------------------

    def _each(self) -> Iterator[Callable[[], None]]:
        for data in self.data["ask"]:
            question = self._asked(data)
            if "pages" in data:
                yield partial(self._pages, question, data)
            elif "accepted" in data or "refused" in data:
                yield partial(self._limits, question, data)
            elif data.get("whole") or self._is_telling(question):
                yield partial(self._filtered, question)
            else:
                self.untelling.append(str(question.query))

    def _asked(self, data: Mapping[str, Any], row: str = "") -> Question:
        """Return a question of the data; whoever may ask the list, asks in turn."""
        return replace(Question.of(data, self.marks, row), asker=next(self.askers))

    def _pairs(self) -> Iterator[Callable[[], None]]:
        pairs = self.data.get("pairs")
        if pairs:
            parts = [self._asked(part, pairs["row"]) for part in pairs["of"]]
            for one, other in combinations(parts, 2):
                if not (one.query.keys() & other.query.keys() or one.headers.keys() & other.headers.keys()):
                    yield partial(self._filtered, one.joined(other))

    def _filtered(self, question: Question) -> None:
        """Request a filtered or sorted list, and its number from every request that counts."""
        wanted = self._expected(question)
        answer = self._list(question).succeeds(requirement=question.row)
        if self._is_page(question):
            self._page(question, answer, wanted)
            return
        answer.selects(self._ids, self.ours, wanted, requirement=question.row)
        self._shown(question, answer)
        for path, value in question.tells.get("members", {}).items():
            answer.agrees(path, value, requirement=question.tells["row"])
        if self._is_exact(question):
            answer.shows(self.list["total"], len(wanted), requirement=question.row)
        if question.first and wanted:
            answer.shows(
                f"{self.list['entries']}.0.{self.list['id']}", question.first, requirement=question.row
            )
        if question.by:
            by = [[name, self._order(order, name, question)] for name, order in question.by]
            answer.is_sorted(self.list["entries"], by, requirement=question.row)
        self._counted(question, wanted)

    def _shown(self, question: Question, answer: Answer) -> None:
        """Judge that each of our entries shows what its thing's own reply has shown, and nothing of another one's."""
        ids = [str(one) for one in _values(pick(answer.body, self._ids))]
        for entry in self.subjects.entries:
            if self._id(entry) in ids:
                at = f"{self.list['entries']}.{ids.index(self._id(entry))}"
                for member, name in self.list.get("shows", {}).items():
                    if name in entry:
                        answer.agrees(f"{at}.{member}", entry[name], requirement=question.row)
                for member in self.list.get("hides", ()):
                    answer.lacks(f"{at}.{member}", requirement=question.row)
                for member in self.list.get("agrees", ()):
                    self._agrees(answer, f"{at}.{member}", entry.get(member), question.row)

    @staticmethod
    def _agrees(answer: Answer, path: str, value: Any, row: str) -> None:
        """Judge a member that an entry need not show: of a list every one has to come, in whatever order.

        An empty text or list tells no more than a member that is not there.
        """
        shown = pick(answer.body, path)
        if value is None or shown is MISSING:
            if value is None and shown not in (MISSING, None, "", []):
                answer.lacks(path, requirement=row)
        elif isinstance(value, list):
            answer.selects(path, [*value], [*value], requirement=row)
        else:
            answer.agrees(path, value, requirement=row)

    def _is_page(self, question: Question) -> bool:
        """Whether less than the whole list may come: a limit below the largest one, or an offset."""
        paging = self.list.get("page", {})
        limit = question.query.get(paging.get("limit"), paging.get("most"))
        return paging.get("offset") in question.query or limit != paging.get("most")

    def _page(self, question: Question, answer: Answer, wanted: list[str]) -> None:
        """Judge a page of a filtered list: how many, and nothing that the filter leaves out."""
        others = [one for one in self.ours if one not in wanted]
        answer.selects(self._ids, others, [], requirement=question.row)
        if self._is_exact(question):
            limit = int(question.query.get(self.list["page"]["limit"], self.list["page"]["default"]))
            offset = int(question.query.get(self.list["page"]["offset"], 0))
            number = max(0, min(limit, len(wanted) - offset))
            answer.shows(self.list["total"], number, requirement=question.row)

    def _counted(self, question: Question, wanted: list[str]) -> None:
        """Request the number of matching entries from every request that counts the list."""
        count = self.list.get("count")
        if not count or not self._is_exact(question):
            return
        if "header" in count:
            if question.query.keys() <= set(count["takes"]):
                counted = self._list(question, operation=count["operation"]).succeeds(
                    requirement=question.row
                )
                counted.has_header(count["header"], str(len(wanted)), requirement=question.row)
            return
        limit = {self.list["page"]["limit"]: 1}
        counted = self._list(question, query=count["query"] | limit).succeeds(requirement=question.row)
        counted.shows(count["member"], len(wanted), requirement=question.row)

    def _pages(self, question: Question, data: Mapping[str, Any]) -> None:
        """Read a list in pages: each entry comes once, and what comes after the last page is empty."""
        if not self._is_exact(question):
            self._pages_among_others(question)
            return
        wanted, paging = self._expected(question), self.list["page"]
        whole = self._list(question).succeeds(requirement=question.row)
        whole.selects(self._ids, self.ours, wanted, requirement=question.row)
        order = [str(one) for one in _values(pick(whole.body, self._ids))]
        count = self.list.get("count", {})
        for limit in data["pages"]:
            rest = list(order)
            for offset in range(0, len(order) + limit, limit):
                query = {paging["limit"]: limit, paging["offset"]: offset}
                query |= count.get("query" if offset else "unasked", {})
                page = self._list(question, query=query).succeeds(requirement=question.row)
                number = max(0, min(limit, len(order) - offset))
                page.shows(self.list["total"], number, requirement=question.row)
                if offset and "query" in count:
                    # The total is the same on each page.
                    page.shows(count["member"], len(order), requirement=question.row)
                elif "unasked" in count:
                    page.lacks(count["member"], requirement=question.row)
                if data.get("ordered", False):
                    are = order[offset : offset + limit]
                    page.selects(self._ids, order, are, ordered=True, requirement=question.row)
                    continue
                seen = [one for one in order if one not in rest]
                if seen:
                    page.selects(self._ids, seen, [], requirement=question.row)
                ids = [str(one) for one in _values(pick(page.body, self._ids))]
                # The remaining entries have to come, and nothing twice.
                are = rest if number == len(rest) else [one for one in rest if one in ids]
                page.selects(self._ids, order, are, requirement=question.row)
                rest = [one for one in rest if one not in ids]

    def _pages_among_others(self, question: Question) -> None:
        """Read a list that others fill as well: a page is no longer than asked for, and the largest one shows ours."""
        paging = self.list["page"]
        for limit in (1, 2):
            page = self._list(question, query={paging["limit"]: limit}).succeeds(requirement=question.row)
            page.lacks(f"{self.list['entries']}.{limit}", requirement=question.row)
        whole = self._list(question, query={paging["limit"]: paging["most"]}).succeeds(
            requirement=question.row
        )
        whole.selects(self._ids, self.ours, self._expected(question), requirement=question.row)

    def _limits(self, question: Question, data: Mapping[str, Any]) -> None:
        """Send a parameter at its bounds, and beyond them."""
        wanted = self._expected(question)
        control = self._list(question).needed()
        for query in data.get("accepted", ()):
            answer = self._list(question, query=query).succeeds(requirement=question.row)
            self._page(Question(question.row, question.query | query), answer, wanted)
        for query in data.get("tried", ()):
            answer = self._list(question, query=query)
            if answer.ok:
                self._page(Question(question.row, question.query | query), answer, wanted)
            else:
                answer.not_judged()
        for query in data.get("refused", ()):
            answer = self._list(question, query=query)
            if "code" in data:
                answer.is_refused(data["code"], control=control, requirement=question.row)
            else:
                answer.is_refused_somehow(control=control, requirement=question.row)

    # --- what they need -------------------------------------------------------------------------------------------

    def _list(
        self, question: Question, *, operation: str = "", query: Mapping[str, Any] | None = None
    ) -> Answer:
        """Send the list's request: the case's scope, the question, and what this request adds."""
        scope = self.scope if question.scoped else {}
        recipe: dict[str, Any] = {"do": operation or self.list["operation"], "as": question.asker}
        request = request_of(
            recipe,
            self.marks,
            path=self.data.get("path", {}),
            query={**scope.get("query", {}), **question.query, **(query or {})},
            headers={**scope.get("headers", {}), **question.headers},
        )
        return self.system.send_request(request)

    @property
    def _ids(self) -> str:
        return f"{self.list['entries']}.*.{self.list['id']}"

    def _id(self, entry: Mapping[str, Any]) -> str:
        return str(entry[self.list["id"]])

    def _is_exact(self, question: Question) -> bool:
        return self.exact and (question.scoped or self.system.alone)

    def _expected(self, question: Question) -> list[str]:
        """Return the ids of our things that the question asks for; what a list leaves out by default has to be requested."""
        usual = {"any": self.data["shown"]} if "shown" in self.data else {}
        left_out = {
            member: condition
            for member, condition in self.list.get("leaves_out", {}).items()
            if not _names(question.where, member)
        }
        scope = filled(self.scope.get("where", {}), self.marks) if question.scoped else {}
        return [
            self._id(entry)
            for entry in self.subjects.entries
            if holds(usual, entry)
            and holds(question.where, entry)
            and holds(scope, entry)
            and not (left_out and holds(left_out, entry))
        ]

    def _is_telling(self, question: Question) -> bool:
        """Tell whether a filter leaves something out: an answer to one that selects everything could not show that it was ignored."""
        usual = self._expected(Question(question.row, scoped=question.scoped))
        return not question.where or set(usual) != set(self._expected(question))

    def _order(self, order: Any, name: str, question: Question) -> Any:
        """Return an order; ``reversed``: the opposite of the order that the list has when sorted by the member, ascending."""
        if order != "reversed":
            return order
        sort = self.list["sort"]
        upwards = self._list(question, query={sort: name}).succeeds(requirement=question.row)
        shown = _values(pick(upwards.body, f"{self.list['entries']}.*.{name}"))
        return list(dict.fromkeys(reversed(shown)))


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(condition: Any, member: str) -> bool:
    """Tell whether a condition names a member."""
    if isinstance(condition, dict):
        return member in condition or any(_names(inner, member) for inner in condition.values())
    return isinstance(condition, list) and any(_names(inner, member) for inner in condition)
