"""The law of limits: what its data say, and what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from kms_conformance.adapters.key_protect.laws.limited import MAKERS
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.severity import Verdict
from kms_conformance.laws.entries import LawCase, law_cases
from kms_conformance.laws.limit_values import next_date
from kms_conformance.laws.limits import Limits
from kms_conformance.laws.request import OperationRequest, Subjects
from kms_conformance.run.outcomes import Inconclusive, NotTested

CONTRACT = "key_protect"
CASES = law_cases(CONTRACT, "limits")
DAY = 86_400


def requests_in(data: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every request that a piece of data describes."""
    if isinstance(data, dict):
        if "do" in data:
            yield data
        for inner in data.values():
            yield from requests_in(inner)
    elif isinstance(data, list):
        for inner in data:
            yield from requests_in(inner)


def waited(steps: Any) -> float:
    """Return how long steps wait in all."""
    return float(sum(step.get("wait", 0) for step in steps or ()))


def declared(data: Mapping[str, Any]) -> float:
    """Return how long a case waits by what it says of its number or its times."""
    if "many" in data:
        many = data["many"]
        once = sum(waited(many.get(name)) for name in ("begin", "first", "all"))
        return once + many["number"] * (waited(many["each"]) + waited(many.get("one")))
    schedule = data.get("schedule")
    if not schedule:
        return 0.0
    times = schedule.get("times", 1)
    turn = schedule.get("turn", {})
    turn = 367 * DAY if "date" in turn else {"minute": 60, "hour": 3600, "day": DAY}.get(turn.get("of"), 0)
    once = turn + sum(waited(schedule.get(name)) for name in ("begin", "end"))
    once += sum(waited(ask) for ask in schedule.get("first", {}).get("ask", ()) if isinstance(ask, list))
    return once + float(
        times * (schedule["after"] + schedule["late"]) + (times - 1) * waited(schedule.get("again"))
    )


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_case_makes_sense(case: LawCase) -> None:
    """A case names operations, codes and subjects that exist, and declares the waits that it makes."""
    contract = load_contract(CONTRACT)
    assert case.data["subjects"] in MAKERS
    assert declared(case.data) == case.waits
    for request in requests_in(case.data):
        assert request["do"] in contract.operations
        assert request.get("code", "KEY_NOT_FOUND_ERR") in contract.codes


def test_a_refused_operation_succeeds_too() -> None:
    """Whatever a case expects to be refused it, or another case of the law, also sees succeed."""
    worked = {
        request["do"]
        for case in CASES.values()
        for request in requests_in(case.data)
        if request.get("expect") != "refusal"
    }
    refused = {
        request["do"]
        for case in CASES.values()
        for request in requests_in(case.data)
        if request.get("expect") == "refusal"
    }
    assert refused <= worked


class LoggedAnswer:
    """An answer that notes what is expected of it."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name
        self.exchange = SimpleNamespace(id=str(len(log)), started=0.0, duration=0.0, step=name)

    def __getitem__(self, path: str) -> str:
        """Return a member."""
        return f"{path}!"

    def __getattr__(self, what: str) -> Any:
        """Note an expectation."""

        def note(*values: Any, **_: Any) -> LoggedAnswer:
            self.log.append(" ".join([self.name, what, *map(str, values)]))
            return self

        return note


class Case:
    """As much of a run's case as the law asks for."""

    class info:  # noqa: N801 - an attribute of the real case
        """Its name."""

        id = "case"

    def __init__(self) -> None:
        """Nothing was made yet."""
        self.exchanges = [SimpleNamespace(id=str(number)) for number in range(9)]
        self.context = SimpleNamespace(target=SimpleNamespace(control_url="http://control"), thorough=False)
        self.is_one_by_one = True
        self.clean_up: list[int] = []
        self.groups: list[int] = []

    def at_once(self, requests: Sequence[Callable[[], LoggedAnswer]]) -> list[LoggedAnswer]:
        """Send the last request first; the answers come in the order of the requests."""
        self.groups.append(len(requests))
        return [request() for request in reversed(requests)][::-1]

    def clean_up_at_once(self, since: int) -> None:
        """Note that a group is removed together."""
        assert since == len(self.clean_up)
        self.clean_up.append(self.groups[-1])


class System:
    """A system that notes what it is asked, and when."""

    def __init__(self, *, alone: bool = True, slow: float = 0.0) -> None:
        self.case, self.alone = Case(), alone
        self.log: list[str] = []
        self.now, self.slow = 0.0, slow

    def subjects(self, what: str) -> Subjects:
        """Make a subject."""
        return Subjects(marks={"thing": what})

    def send_request(self, request: OperationRequest) -> LoggedAnswer:
        """Answer; each answer takes as long as the system is slow."""
        answer = LoggedAnswer(
            self.log, f"{request.operation}{list(request.path.values()) or ''}{request.body or ''}"
        )
        answer.exchange.started, answer.exchange.duration = self.now, self.slow
        self.now += self.slow
        self.case.exchanges.append(answer.exchange)
        return answer

    def wait(self, seconds: float, why: str) -> None:
        """Let time pass."""
        self.log.append(f"{seconds:g} {why}")


def lines_of(*, alone: bool = True, slow: float = 0.0, **data: Any) -> list[str]:
    """Go through a case and return what was asked, expected and waited for."""
    system: Any = System(alone=alone, slow=slow)
    case = LawCase(
        "case", ("row",), (), (), control=False, waits=0, impact=(), data={"subjects": "it", **data}
    )
    Limits(system, case).run()
    return list(system.log)


def test_bound() -> None:
    """Accepted values come first and what they made is read; refused ones follow."""
    bound = {
        "send": {"do": "make", "body": {"name": "{value}"}, "note": {"made": "id"}},
        "accepted": [{"text": "x", "to": 3, "begin": "ab"}, {"list": "n{number}", "of": 2}],
        "refused": ["{thing}"],
        "code": "CODE",
        "shows": [{"do": "read", "path": {"id": "{made}"}, "shows": {"name": "{value}"}}],
    }
    assert lines_of(bound=bound) == [
        "make{'name': 'abx'} succeeds",
        "read['id!'] succeeds",
        "read['id!'] shows name abx",
        "make{'name': ['n1', 'n2']} succeeds",
        "read['id!'] succeeds",
        "read['id!'] shows name ['n1', 'n2']",
        "make{'name': 'it'} is_refused CODE",
    ]


def test_many() -> None:
    """Each of many is made, then asked about, and all together."""
    many = {
        "number": 2,
        "each": [{"do": "make", "body": "{number} {left}"}],
        "one": [{"do": "read", "path": {"id": "{number}"}}],
        "all": [{"do": "list", "counts": {"all": 2}}],
    }
    assert lines_of(many=many) == [
        "make1 1 succeeds",
        "make2 0 succeeds",
        "read[1] succeeds",
        "read[2] succeeds",
        "list succeeds",
        "list counts all 2",
    ]


def test_many_at_once() -> None:
    """Where data say so, things are made in groups, and each group is removed at the same moment."""
    system: Any = System()
    many = {"number": 5, "together": 2, "each": [{"do": "make", "note": {"made": "id"}}], "all": []}
    many["all"] = [{"do": "list", "body": "{all_made}"}]
    data = {"subjects": "it", "many": many}
    Limits(system, LawCase("case", ("row",), (), (), control=False, waits=0, impact=(), data=data)).run()
    assert system.case.groups == system.case.clean_up == [2, 2, 1]
    assert system.log == [*["make succeeds"] * 5, "list['id!', 'id!', 'id!', 'id!', 'id!'] succeeds"]


def test_too_much_for_others() -> None:
    """What makes too much is not done on an instance that others use."""
    with pytest.raises(NotTested) as refused:
        lines_of(alone=False, many={"alone": True, "number": 1, "each": [{"do": "make"}]})
    assert refused.value.verdict is Verdict.NOT_TESTED


def test_schedule_that_runs_by_itself() -> None:
    """What runs again by itself may be late each time: the moments count from the beginning."""
    schedule = {"what": "it", "after": 30 * DAY, "early": DAY, "late": DAY, "times": 3}
    schedule |= {"begin": [{"do": "begin"}], "then": [{"do": "look", "counts": {"all": "{next}"}}]}
    moments = [float(line.split()[0]) / DAY for line in lines_of(schedule=schedule) if line[0].isdigit()]
    assert [sum(moments[:number]) for number in range(1, 7)] == [29, 31, 59, 62, 89, 93]


def test_schedule_that_begins_again() -> None:
    """What is begun anew has its whole time again."""
    schedule = {"what": "it", "after": 30, "early": 6, "late": 1, "times": 2}
    schedule |= {
        "begin": [{"do": "a"}],
        "again": [{"do": "b"}],
        "not_yet": [{"do": "c", "expect": "refusal"}],
    }
    schedule |= {"then": [{"do": "d"}], "end": [{"do": "e"}]}
    lines = ["24 it: not yet", "c is_refused_somehow", "7 it: it is time", "d succeeds"]
    assert lines_of(schedule=schedule) == ["a succeeds", *lines, "b succeeds", *lines, "e succeeds"]


def test_an_answer_that_came_too_late_for_its_time() -> None:
    """What a slow endpoint says after the moment for "not yet" is not judged, and what it says in time is."""
    schedule = {"what": "it", "after": 30, "early": 6, "late": 1, "begin": [{"do": "a"}]}
    schedule |= {"not_yet": [{"do": "b"}, {"do": "c"}], "then": [{"do": "d"}]}
    assert lines_of(schedule=schedule, slow=1.9)[-1] == "d succeeds"
    with pytest.raises(Inconclusive, match=r"c: its answer came 0\.3 s after the moment"):
        lines_of(schedule=schedule, slow=2.1)


def test_what_is_done_meanwhile_takes_no_time_of_its_own() -> None:
    """In the middle of the time something else is done, and its waits count: the end is where it was."""
    schedule = {"what": "it", "after": 100, "early": 10, "late": 1, "begin": [{"do": "a"}]}
    schedule |= {"meanwhile": [{"do": "b", "expect": "anything"}, {"wait": 31, "why": "so"}, {"do": "c"}]}
    assert lines_of(schedule={**schedule, "then": [{"do": "d"}]}) == [
        "a succeeds",
        "45 it: not yet",
        "b not_judged",
        "31 so",
        "c succeeds",
        "14 it: not yet",
        "11 it: it is time",
        "d succeeds",
    ]


def test_each_first_question_has_a_thing_of_its_own() -> None:
    """A thing is made for each question, which is asked of it once the time has come; what others noted is not known to it."""
    schedule = {
        "what": "it",
        "after": 9,
        "early": 1,
        "late": 0,
        "begin": [{"do": "a", "note": {"one": "id"}}],
    }
    each = [{"do": "make", "body": "{place}", "note": {"one": "id", "own": "name"}}]
    ask = [{"do": "b", "path": {"id": "{place} {own}"}}, [{"do": "c"}, {"do": "d", "path": {"id": "{one}"}}]]
    assert lines_of(
        schedule={
            **schedule,
            "first": {"each": each, "ask": ask},
            "then": [{"do": "e", "path": {"id": "{own}"}}],
        }
    ) == [
        "a succeeds",
        "make1 succeeds",
        "make2 succeeds",
        "8 it: not yet",
        "1 it: it is time",
        "b['1 name!'] succeeds",
        "c succeeds",
        "d['id!'] succeeds",
    ]


def test_more_where_there_is_time() -> None:
    """A run that takes its time makes more of a thing, and what is asked says how many."""
    system: Any = System()
    system.case.context.thorough = True
    many = {
        "number": 1,
        "thorough": 2,
        "each": [{"do": "make"}],
        "all": [{"do": "list", "body": "{of} {one_more}"}],
    }
    data = {"subjects": "it", "many": many}
    Limits(system, LawCase("case", ("row",), (), (), control=False, waits=0, impact=(), data=data)).run()
    assert system.log == ["make succeeds", "make succeeds", "list2 3 succeeds"]


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("-07-01T12:00:00", "2027-07-01T12:00:00"),
        ("-12-01T11:00:00", "2026-12-01T11:00:00"),
        ("-11-30T09:00:00", "2027-11-30T09:00:00"),
        ("-02-29T00:00:00", "2028-02-29T00:00:00"),
        ("9999-12-31T23:59:59", "9999-12-31T23:59:59"),
    ],
)
def test_next_date(date: str, expected: str) -> None:
    """The next such date of a year is a day ahead at the earliest; a leap day waits for its year."""
    now = datetime(2026, 11, 29, 10, tzinfo=UTC)
    assert next_date(date, now) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_time_that_begins_on_a_date() -> None:
    """A schedule waits for its date, and only then begins."""
    system: Any = System()
    system.case.now = lambda: datetime(2026, 11, 29, 10, tzinfo=UTC)
    schedule = {
        "what": "it",
        "after": 9,
        "early": 1,
        "late": 0,
        "begin": [{"do": "a"}],
        "then": [{"do": "b"}],
    }
    data = {"subjects": "it", "schedule": {**schedule, "turn": {"date": "-12-01T10:00:00"}}}
    Limits(system, LawCase("case", ("row",), (), (), control=False, waits=0, impact=(), data=data)).run()
    assert system.log[:2] == ["172800 the calendar is to show 12-01T10:00:00", "a succeeds"]
