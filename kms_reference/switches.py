"""What can be switched on in a reference: defects, which a good suite finds, and variations, which it does not mind.

A defect is one row of a table in `kms_reference/<system>/defects/`: its name, one line about it, the sections of the
page that it breaks, and what it changes. Four kinds of change exist: to a rule (`unchecked`, `skipped`, `gives`,
`instead`, `on_refusal`), to a span of time (`times`), to what the instance holds after a reply (`After`), and to the
finished reply (`mutate`, or `counting` where a server counts its replies).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kms_reference.errors import ServerError
from kms_reference.rules import Draft, Mutator, RefusedError, RuleLike

Test = Callable[..., bool]


def always(*_: Any, **__: Any) -> bool:
    """Whatever the arguments."""
    return True


@dataclass(frozen=True, slots=True)
class Change:
    """Another rule in the place of `rule`, for calls whose arguments pass `when`.

    `act` is called with the lawful rule and the arguments; with `refusals`, with the refusal that the lawful rule
    raised and the arguments, and then only for a refusal of one of the `codes` (empty: any).
    """

    rule: RuleLike
    act: RuleLike
    when: Test = always
    refusals: bool = False
    codes: tuple[str, ...] = ()

    def over(self, lawful: RuleLike) -> RuleLike:
        """Return the rule that is asked instead of `lawful`."""

        def changed(*args: Any, **kwargs: Any) -> Any:
            if self.refusals:
                try:
                    return lawful(*args, **kwargs)
                except RefusedError as refusal:
                    if not self.hits(refusal, *args, **kwargs):
                        raise
                    return self.act(refusal, *args, **kwargs)
            return (
                self.act(lawful, *args, **kwargs) if self.when(*args, **kwargs) else lawful(*args, **kwargs)
            )

        return changed

    def hits(self, refusal: RefusedError | None, /, *args: Any, **kwargs: Any) -> bool:
        """Whether it changes anything in a call that the lawful rule answers with this refusal, or with none."""
        if self.refusals:
            fits = refusal is not None and (not self.codes or getattr(refusal, "code", None) in self.codes)
            return fits and self.when(*args, **kwargs)
        return self.when(*args, **kwargs)


def unchecked(
    rule: RuleLike,
    when: Test = always,
    *,
    codes: tuple[str, ...] = (),
    gives: Callable[[], Any] | None = None,
) -> Change:
    """Let pass what the rule refuses; the rule then returns None, or what `gives` makes."""

    def passed(_: RefusedError, *__: Any, **___: Any) -> Any:
        return gives() if gives is not None else None

    return Change(rule, passed, when, refusals=True, codes=codes)


def on_refusal(rule: RuleLike, act: RuleLike, when: Test = always, *, codes: tuple[str, ...] = ()) -> Change:
    """Do something else where the rule refuses: `act(refusal, *arguments)` returns a result or raises."""
    return Change(rule, act, when, refusals=True, codes=codes)


def refused_but(rule: RuleLike, act: RuleLike, when: Test = always) -> Change:
    """Refuse as the rule says, and do `act(*arguments)` all the same."""

    def done(refusal: RefusedError, *args: Any, **kwargs: Any) -> Any:
        act(*args, **kwargs)
        raise refusal

    return Change(rule, done, when, refusals=True)


def skipped(rule: RuleLike, when: Test = always) -> Change:
    """Leave out what the rule does."""
    return Change(rule, lambda *_, **__: None, when)


def gives(rule: RuleLike, make: RuleLike, when: Test = always) -> Change:
    """Give another result: `make(result, *arguments)`."""
    return Change(rule, lambda lawful, *args, **kwargs: make(lawful(*args, **kwargs), *args, **kwargs), when)


def then(rule: RuleLike, act: RuleLike, when: Test = always) -> Change:
    """Do `act(*arguments)` after what the rule does; its result stays."""

    def done(lawful: RuleLike, *args: Any, **kwargs: Any) -> Any:
        result = lawful(*args, **kwargs)
        act(*args, **kwargs)
        return result

    return Change(rule, done, when)


def instead(rule: RuleLike, act: RuleLike, when: Test = always) -> Change:
    """Ask `act(lawful, *arguments)` instead of the rule; `lawful` is the rule itself."""
    return Change(rule, act, when)


@dataclass(frozen=True, slots=True)
class After:
    """What is done to the instance once the reply to an operation is decided, before it is stored.

    It follows successes, or with `codes` refusals of these codes. `change` is given the draft of the reply.
    """

    operation: str
    change: Callable[[Draft], object]
    codes: tuple[str, ...] = ()

    def follows(self, draft: Draft) -> bool:
        """Whether the reply is one that it follows."""
        if draft.call is None or draft.operation != self.operation:
            return False
        return draft.code in self.codes if draft.refused else not self.codes


@dataclass(frozen=True)
class Switch:
    """What can be switched on: `name`, one line of `doc`, the page's `sections` it touches (short anchors).

    `mutate` rewrites a finished reply, `times` replaces named spans (seconds), `changes` replace rules, `after` acts
    on the instance. `counting` makes a mutator anew for each server, for what happens in one of several requests.
    """

    name: str
    doc: str
    sections: tuple[str, ...] = ()
    mutate: Mutator | None = field(default=None, compare=False)
    times: Mapping[str, float] = field(default_factory=dict, compare=False)
    changes: tuple[Change, ...] = field(default=(), compare=False)
    after: After | None = field(default=None, compare=False)
    counting: Callable[[], Mutator] | None = field(default=None, compare=False)

    def mutators(self) -> tuple[Mutator, ...]:
        """Return what rewrites the replies of one server."""
        made = None if self.counting is None else self.counting()
        return tuple(mutator for mutator in (self.mutate, made) if mutator is not None)


class Defect(Switch):
    """Something wrong: a good suite notices."""


class Variation(Switch):
    """Something other: the page leaves it free, and a good suite does not mind."""


class UnknownSwitchError(ServerError):
    """No defect or variation has this name: the name, and the nearest one that exists."""

    def __init__(self, kind: str, name: str, names: Iterable[str]) -> None:
        near = difflib.get_close_matches(name, list(names), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`kms-conformance serve --list` shows all."
        super().__init__(f"unknown {kind} {name!r}; {hint}")
        self.kind, self.name, self.hint = kind, name, hint


Known = TypeVar("Known", bound=Switch)


def chosen(kind: str, names: Iterable[str], switches: Mapping[str, Known]) -> list[Known]:
    """Return the switches of these names. Raises UnknownSwitchError."""
    selected: list[Known] = []
    for name in names:
        if name not in switches:
            raise UnknownSwitchError(kind, name, switches)
        selected.append(switches[name])
    return selected
