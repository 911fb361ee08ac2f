"""Cases that run again under a view: each is an item of its own, beside the item of the case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from kms_conformance.laws.views import View, chosen_pairs, index_of, views_of
from kms_conformance.pytest_plugin.items import VIEW, contract_of, describe, is_case, usual_id

Pairs = frozenset[tuple[str, str]]


class ViewItems:
    """Makes the items. ``whole`` tells whether all pairs of view and case are run, ``seed`` decides about a sample."""

    def __init__(self, seed: int, *, whole: bool) -> None:
        self._seed, self._whole = seed, whole
        self._pairs: dict[str, Pairs] = {}

    def beside(self, items: Iterable[pytest.Item]) -> list[pytest.Item]:
        """Return the items, each case followed by its items under a view."""
        return [made for item in items for made in (item, *self._of(item))]

    def _of(self, item: pytest.Item) -> Iterator[pytest.Item]:
        if not isinstance(item, pytest.Function) or not is_case(item) or VIEW in item.stash:
            return
        contract = contract_of(item)
        views = views_of(contract)
        if not views:
            return
        case = usual_id(item)
        name = case.removeprefix(f"{contract}.")
        for view in views.values():
            if case.startswith(f"{contract}.") and self._runs(contract, view, name, item):
                yield _under(item, view)

    def _runs(self, contract: str, view: View, name: str, item: pytest.Function) -> bool:
        if not index_of(contract):
            return not view.refuses(name, describe(item).identities)
        if contract not in self._pairs:
            self._pairs[contract] = chosen_pairs(contract, self._seed, whole=self._whole)
        return (view.id, view.flat(name)) in self._pairs[contract]


def _under(item: pytest.Function, view: View) -> pytest.Item:
    """Return the item in which a case runs under a view."""
    parameters = item.name.partition("[")[2].removesuffix("]")
    name = f"{item.originalname}[{'-'.join(part for part in (parameters, f'by {view.id}') if part)}]"
    made: pytest.Function = pytest.Function.from_parent(
        item.parent,
        name=name,
        originalname=item.originalname,
        callspec=getattr(item, "callspec", None),
        fixtureinfo=item._fixtureinfo,  # noqa: SLF001 - pytest has no public way
        keywords={name: True},
    )
    made.stash[VIEW] = view
    return made
