"""Pages of lists: limit, offset, totalCount (1.5.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kms_conformance.adapters.key_protect.model.attempt import Attempt
from kms_conformance.adapters.key_protect.model.facts import Absent, Between, Entries, Equal, Rule
from kms_conformance.adapters.key_protect.model.prediction import QUERY, Rules

_DEFAULT, _MOST = 200, 5000


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is asked for, and whether all that match are to be counted."""

    limit: int
    offset: int
    total: bool
    untold: bool = False
    """Whether it is asked for that they are not counted."""

    @property
    def whole(self) -> bool:
        """Whether the page begins at the beginning."""
        return self.offset == 0


def page_of(attempt: Attempt, rules: Rules, *, default: int = _DEFAULT, most: int = _MOST) -> Page:
    """Return the page that a query asks for; note bounds that are broken."""
    limit = _number(rules, attempt.operation.query.get("limit"), (1, most), default)
    offset = _number(rules, attempt.operation.query.get("offset"), (0, 2**31 - 1), 0)
    if attempt.bad_flag("totalCount"):
        rules.perhaps("totalCount that is no boolean", QUERY)
    untold = attempt.operation.query.get("totalCount") == "false"
    return Page(limit, offset, attempt.flag("totalCount"), untold)


def _number(rules: Rules, text: str | None, bounds: tuple[int, int], default: int) -> int:
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        rules.broken(QUERY)
        return default
    if not bounds[0] <= value <= bounds[1]:
        rules.broken(QUERY)
        return default
    return value


def listing(
    page: Page,
    by: str,
    required: Mapping[str, Mapping[str, Rule]],
    possible: Mapping[str, Mapping[str, Rule]] | None = None,
    order: Sequence[str] | None = None,
) -> dict[str, Rule]:
    """Return what a page of a list shows: which entries, how many of them, and how many in all where that is asked for.

    Which entries stand on a page is known only where the page holds everything, or the order is documented.
    """
    may = possible or {}
    least, most = len(required), len(required) + len(may)
    few = min(page.limit, max(0, least - page.offset))
    many = min(page.limit, max(0, most - page.offset))
    complete = page.offset == 0 and most <= page.limit
    if complete:
        entries = Entries(by, required, may)
    elif order is not None and not may:
        entries = Entries(by, required, may, order=tuple(order[page.offset : page.offset + page.limit]))
    else:
        entries = Entries(by, required, may, least=few, most=many)
    facts: dict[str, Rule] = {"resources": entries, "metadata.collectionTotal": Between(few, many)}
    if few == many:
        facts["metadata.collectionTotal"] = Equal(few)
    if page.total:
        facts["metadata.totalCount"] = Equal(least) if least == most else Between(least, most)
    elif page.untold:
        facts["metadata.totalCount"] = Absent()
    return facts
