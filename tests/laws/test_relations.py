"""The engine of relations on a list of its own: what it asks, and which lists it finds wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.laws.entries import LawCase
from kms_conformance.laws.relations import Relations
from kms_conformance.laws.request import OperationRequest, Subjects
from kms_conformance.run.outcomes import ConformanceFailure, Inconclusive

THINGS: list[dict[str, Any]] = [
    {"id": name, "kind": kind} for name, kind in zip("dbcae", "xyxyx", strict=True)
]
THINGS[0] |= {"tags": ["red", "blue"], "text": "of d"}
LIST = {
    "operation": "list",
    "entries": "resources",
    "id": "id",
    "total": "total",
    "agrees": ["tags", "text"],
    "hides": ["secret"],
    "askers": ["second", "third"],
    "page": {"limit": "limit", "offset": "offset", "most": 9, "default": 4},
    "count": {"query": {"counted": "true"}, "unasked": {"counted": "false"}, "member": "count"},
}
Server = Callable[[dict[str, Any]], list[dict[str, Any]]]


def right(query: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a lawful list finds, before it is cut into pages."""
    kind = query.get("kind")
    return sorted((one for one in THINGS if kind in {None, one["kind"]}), key=lambda one: one["id"])


class Answered:
    """An answer that judges at once, as the real one does."""

    exchange = None

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    def succeeds(self, **_: Any) -> Answered:
        """Succeed always."""
        return self

    def selects(self, path: str, of: list[str], are: list[str], *, ordered: bool = False, **_: Any) -> None:
        """Say which of the things, or of the values of a member, are there."""
        values = pick(self.body, path)
        ids = [value for value in values if value in of]
        self._say(ids == are if ordered else sorted(ids) == sorted(are), path)

    def shows(self, path: str, value: Any, **_: Any) -> None:
        """Say what a member is."""
        self._say(self.body.get(path) == value, path)

    def agrees(self, path: str, value: Any, **_: Any) -> None:
        """Say what a member is, where it is there."""
        self._say(pick(self.body, path) in {MISSING, value}, path)

    def lacks(self, path: str, **_: Any) -> None:
        """Say that a member is not there."""
        self._say(pick(self.body, path) is MISSING, path)

    @staticmethod
    def _say(holds: bool, what: str) -> None:
        if not holds:
            raise ConformanceFailure(what)


class Case:
    """As much of a run's case as the law asks for."""

    info = SimpleNamespace(contract="none", id="x")
    context = SimpleNamespace(target=SimpleNamespace(identities={"second": None}))

    @staticmethod
    def read(requests: Sequence[Callable[[], Any]]) -> list[Any]:
        """Send one request after the other."""
        return [request() for request in requests]


class Listing:
    """A system with one list, whose finding can be broken and whose pages are cut as told."""

    case: Any = Case()
    alone = True

    def __init__(
        self, find: Server = right, cut: Callable[[int, int], slice] = lambda o, n: slice(o, o + n)
    ) -> None:
        self.find, self.cut, self.asked = find, cut, 0
        self.things = THINGS
        self.askers: list[str] = []
        self.counts_always = False

    def subjects(self, _: str) -> Subjects:
        """Return the things."""
        return Subjects([dict(one) for one in self.things], {"x": "x"})

    def send_request(self, request: OperationRequest) -> Any:
        """Find, and cut the page."""
        self.asked += 1
        self.askers.append(request.identity)
        matches = self.find(dict(request.query))
        limit, offset = int(request.query.get("limit", 9)), int(request.query.get("offset", 0))
        page = matches[self.cut(offset, limit)]
        told = {"said": request.query.get("kind", "")}
        if self.counts_always or request.query.get("counted") == "true":
            told["count"] = len(matches)
        return Answered({"resources": page, "total": len(page), **told})

    def wait(self, seconds: float, why: str) -> None:
        """Never wait."""
        raise AssertionError((seconds, why))


ASK = [
    {
        "row": "r",
        "query": {"kind": "{x}"},
        "where": {"kind": "{x}"},
        "tells": {"row": "r", "members": {"said": "{x}"}},
    },
    {"row": "r", "query": {}, "pages": [2]},
]
PAIRS = {"row": "r", "of": [{"query": {"kind": "y"}, "where": {"kind": "y"}}, {"query": {"limit": 1}}]}


def run(system: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the questions above."""
    monkeypatch.setattr("kms_conformance.laws.relations.law_file", lambda *_: {"lists": {"things": LIST}})
    data = {"id": "x", "list": "things", "subjects": "s", "ask": ASK, "pairs": PAIRS}
    Relations(system, LawCase("x", ("r",), (), (), False, 0.0, (), data)).run()


def test_lawful_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lawful list gives no finding, and is asked as often as its questions need."""
    system = Listing()
    run(system, monkeypatch)
    assert system.asked == 1 + 1 + 1 + 4 + 1
    # Of the identities that the list is shown to, those that the target has ask in turn: each a question.
    assert system.askers == ["", "", *["second"] * 5, ""]


def test_count_that_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is told not to count does not."""
    system = Listing()
    system.counts_always = True
    with pytest.raises(ConformanceFailure, match="count"):
        run(system, monkeypatch)


def test_hidden_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry shows nothing that the list hides."""
    with pytest.raises(ConformanceFailure, match="secret"):
        run(Listing(lambda query: [{**one, "secret": "s"} for one in right(query)]), monkeypatch)


@pytest.mark.parametrize(
    "system",
    [
        Listing(lambda query: right({**query, "kind": None})),
        Listing(lambda query: right(query)[:1] if "kind" in query else right(query)),
        Listing(cut=lambda offset, limit: slice(offset, offset + limit + 1)),
        Listing(cut=lambda offset, limit: slice(max(0, offset - 1), max(0, offset - 1) + limit)),
        Listing(lambda query: right({**query, "kind": None}) if "counted" in query else right(query)),
        Listing(lambda query: right({**query, "kind": None}) if query.get("limit") == 1 else right(query)),
        Listing(lambda query: [{"tags": ["red"], **one} for one in right(query)]),
        Listing(lambda query: [one | ({"tags": ["red"]} if "tags" in one else {}) for one in right(query)]),
        Listing(lambda query: [one | ({"text": "of e"} if "text" in one else {}) for one in right(query)]),
    ],
    ids=[
        "filter-ignored",
        "one-left-out",
        "page-too-long",
        "entry-twice",
        "counted-unfiltered",
        "pair-broken",
        "tags-of-another",
        "tag-left-out",
        "text-of-another",
    ],
)
def test_wrong_lists(system: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that forgets its filter, an entry, or where a page ends is found."""
    with pytest.raises(ConformanceFailure):
        run(system, monkeypatch)


def test_filter_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the things' own replies make a filter select everything, that is said at the end, and nobody is at fault."""
    system = Listing(lambda query: right({**query, "kind": None}))
    system.things = [{**one, "kind": "x"} for one in THINGS]
    monkeypatch.setattr("kms_conformance.laws.relations.law_file", lambda *_: {"lists": {"things": LIST}})
    data = {"id": "x", "list": "things", "subjects": "s", "ask": ASK}
    with pytest.raises(Inconclusive, match="selects what the list shows without it"):
        Relations(system, LawCase("x", ("r",), (), (), False, 0.0, (), data)).run()
    assert system.asked == 1 + 4


def test_question_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that tells another question than was asked is found; one that tells none is not."""
    tells = {"row": "r", "members": {"said": "y", "told": "x"}}
    monkeypatch.setattr("kms_conformance.laws.relations.law_file", lambda *_: {"lists": {"things": LIST}})
    data = {"id": "x", "list": "things", "subjects": "s", "ask": [{**ASK[0], "tells": tells}]}
    with pytest.raises(ConformanceFailure, match="said"):
        Relations(Listing(), LawCase("x", ("r",), (), (), False, 0.0, (), data)).run()
