"""Law 4: ownership. A thing is found, used and changed only in its instance and ring, and only by those who may.

``ownership.yaml`` holds, for each operation, a request that succeeds (``operations``), and cases. A case makes its subjects, and
then either goes through ``steps``, or sends each of some operations the wrong way (``each``: another instance, ring,
identity, or with what belongs to other operations): the refusal changes nothing, and the right way succeeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.laws.entries import LawCase, law_file
from kms_conformance.laws.members import check_members
from kms_conformance.laws.request import Subjects, System, all_of, demand, request_of
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive

NOT_TAKEN = (400, 405, 409, 415, 422)
"""How a request with something that its operation does not take is refused."""
_TRIES = 20
"""How often two answers are compared until nobody else has changed anything in between."""
_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
"""Seconds before the next try, more each time: with many cases at once on one instance it is seldom at rest."""
CONTROL = "the same operation succeeds where the thing belongs"


class Ownership:
    """One case of the law, on one set of subjects."""

    def __init__(self, system: System, case: LawCase) -> None:
        """Make the subjects."""
        self.system, self.data = system, case.data
        self.recipes: Mapping[str, Any] = law_file(system.case.info.contract, "ownership")["operations"]
        self.row: str = case.rows[0]
        self.subjects: Subjects = system.subjects(case.data["subjects"])
        self.marks = self.subjects.marks
        self.noted = {name for step in case.data.get("steps", ()) for name in step.get("note", {})}
        self.kept: dict[str, Answer] = {}

    def run(self) -> None:
        """Go through the steps, then send each operation the wrong way and the right way, then the last steps."""
        all_of(self._questions())

    def _questions(self) -> Iterator[Callable[[], None]]:
        for step in self.data.get("steps", ()):
            yield partial(self._step, step)
        each = self.data.get("each")
        if each:
            for operation in each["operations"]:
                yield partial(self._operation, each, operation)
        for step in self.data.get("after", ()):
            yield partial(self._step, step)

    # --- steps ----------------------------------------------------------------------------------------------------

    def _step(self, step: Mapping[str, Any]) -> None:
        if "wait" in step:
            self.system.wait(float(step["wait"]), step["why"])
            return
        if self._is_moot(step):
            return
        answer = self.system.send_request(request_of(self._request(step), self.marks))
        row = step.get("row", self.row)
        self._outcome(answer, step, row)
        self._members(answer, step, row)
        if "keep" in step:
            self.kept[step["keep"]] = answer
        if answer.ok:
            self.marks |= {name: answer[path] for name, path in step.get("note", {}).items()}
            self.marks |= {step["flag"]: True} if "flag" in step else {}

    def _is_moot(self, step: Mapping[str, Any]) -> bool:
        """Tell whether a step asks about something that was not made: its creation was refused, and judged."""
        flagged = "if" in step and step["if"] not in self.marks
        return flagged or any(f"{{{name}}}" in str(step) for name in self.noted if name not in self.marks)

    def _request(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request of a step: the operation's recipe with what the step says otherwise."""
        recipe = dict(self.recipes.get(step["do"], {}))
        changed = {name: step[name] for name in ("body", "as") if name in step}
        merged = {
            name: {**recipe.get(name, {}), **step.get(name, {})} for name in ("path", "query", "headers")
        }
        return {**recipe, **merged, **changed, "do": step["do"]}

    def _outcome(self, answer: Answer, step: Mapping[str, Any], row: str) -> None:
        match step.get("expect", "success"):
            case "success":
                answer.succeeds(requirement=row)
            case "refusal":
                self._refused(answer, step, row)
            case "either":
                # No source says whether it is refused; where it succeeds, the members below show what it did.
                if answer.ok:
                    answer.succeeds(requirement=row)
                else:
                    self._refused(answer, {"statuses": NOT_TAKEN, **step}, row)

    @staticmethod
    def _refused(answer: Answer, step: Mapping[str, Any], row: str) -> None:
        if step.get("code"):
            answer.is_refused(step["code"], control=CONTROL, requirement=row)
        else:
            answer.is_refused_somehow(*step.get("statuses", ()), control=CONTROL, requirement=row)

    def _members(self, answer: Answer, step: Mapping[str, Any], row: str) -> None:
        if step.get("expect") == "either" and not answer.ok:
            return
        check_members(answer, step, self.marks, row)
        self._kept(answer, step, row)

    def _kept(self, answer: Answer, step: Mapping[str, Any], row: str) -> None:
        """Compare an answer with kept ones, as evidence shows them."""
        for path in step.get("unlike", {}).get("at", ()):
            earlier = self.kept[step["unlike"]["as"]].exchange.answer
            answer.differs(path, None if earlier is None else pick(earlier.body, path), requirement=row)
        if "same" in step:
            self._same(answer, self.kept[step["same"]["as"]], step["same"]["at"], row)

    @staticmethod
    def _same(answer: Answer, before: Answer, paths: Sequence[str], row: str) -> None:
        """Expect that an answer shows what an earlier one has shown, at some paths or everywhere."""
        evidence = before.exchange.answer
        body = None if evidence is None else evidence.body
        members = {path: pick(body, path) for path in paths or _leaves(body)}
        answer.shows_all(
            {path: None if was is MISSING else was for path, was in members.items()}, requirement=row
        )

    # --- each operation the wrong way -------------------------------------------------------------------------------

    def _operation(self, each: Mapping[str, Any], operation: Any) -> None:
        if isinstance(operation, dict):
            self._step(operation)
            return
        recipe, row = self.recipes[operation], each["row"]
        demand(self.system.case, recipe is not None, f"{operation} has no recipe")
        reads = recipe.get("changes") and each.get("reads")
        before = (
            self.system.send_request(request_of(self._request({"do": reads}), self.marks)).needed()
            if reads
            else None
        )
        changed = each["wrong"]
        if "body" in changed:
            demand(
                self.system.case,
                isinstance(recipe.get("body", {}), dict),
                f"{operation} has no body to add to",
            )
        given = {
            **changed,
            **({"body": {**recipe.get("body", {}), **changed["body"]}} if "body" in changed else {}),
        }
        right = request_of({"do": operation, **recipe}, self.marks)
        other = request_of({"do": operation, **recipe}, self.marks, **given)
        same: Answer | None = None
        if each.get("same_answer") and not recipe.get("changes"):
            same, answer = self._at_rest(right, other)
        else:
            same = self.system.send_request(right) if each.get("same_answer") else None
            answer = self.system.send_request(other)
        if answer.ok and (each.get("expect") == "either" or operation in each.get("may_succeed", ())):
            answer.succeeds(requirement=row)
            if same is not None:
                self._same(answer, same.succeeds(requirement=row), (), row)
                return
        else:
            self._refused(
                answer, {**({"statuses": NOT_TAKEN} if each.get("expect") == "either" else {}), **each}, row
            )
        for path in each.get("lacks", ()):
            answer.lacks(path, requirement=row)
        if before is not None:
            after = self.system.send_request(request_of(self._request({"do": reads}), self.marks)).succeeds(
                requirement=row
            )
            self._same(after, before, each["same"], row)
        if same is not None:
            same.succeeds(requirement=row)
        elif each.get("control", True):
            self.system.send_request(request_of({"do": operation, **recipe}, self.marks)).succeeds(
                requirement=row
            )

    def _at_rest(self, right: Any, other: Any) -> tuple[Answer, Answer]:
        """Return the answers to the right request and to the other one while nobody else changes what they show.

        On a shared instance others make and remove things all the time, so the right request is sent once more after
        the other one: where it shows something new, all three are sent again. Raises :class:`Inconclusive` where it
        never shows the same twice.
        """
        if self.system.case.context.target.fresh:
            return self.system.send_request(right), self.system.send_request(other)
        for tried in range(_TRIES):
            if tried and not self.system.case.is_one_by_one:
                time.sleep(min(tried * _PAUSE, _LONGEST_PAUSE))
            same, answer = self.system.send_request(right), self.system.send_request(other)
            again = self.system.send_request(right).not_judged()
            if same.body == again.body:
                return same, answer
            same.not_judged()
            answer.not_judged()
        raise Inconclusive("others on the instance change what is compared, time and again")


def _leaves(body: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of everything in a document that is no object and no list of objects."""
    if isinstance(body, dict):
        for name, inner in body.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(body, list) and body and isinstance(body[0], dict):
        for number, inner in enumerate(body):
            yield from _leaves(inner, f"{path}.{number}" if path else str(number))
    elif path:
        yield path
