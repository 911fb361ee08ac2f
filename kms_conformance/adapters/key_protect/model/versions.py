"""Versions of a key: newest first, for a key that is not active only on request (2.2, 2.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome, begin, needs_state
from kms_conformance.adapters.key_protect.model.facts import (
    Between,
    Equal,
    NoneOf,
    Optional,
    Rule,
    seconds_of,
)
from kms_conformance.adapters.key_protect.model.paging import Page, page_of
from kms_conformance.adapters.key_protect.model.prediction import QUERY, ROOT_ONLY, Learn, Success
from kms_conformance.adapters.key_protect.model.shown import near
from kms_conformance.adapters.key_protect.model.state import ACTIVE, Instance, Key, Version

_MANY = 10_000


def get_versions(attempt: Attempt) -> Outcome:
    """GET /keys/{id}/versions."""
    rules, key = begin(attempt)
    page = page_of(attempt, rules)
    if attempt.bad_flag("allKeyStates"):
        rules.perhaps("allKeyStates that is no boolean", QUERY)
    if key is None:
        return attempt.answer(rules, Success(frozenset({200})))
    if not attempt.flag("allKeyStates"):
        needs_state(attempt, rules, key, frozenset({ACTIVE}))
    if key.standard:
        rules.perhaps("versions of a standard key", ROOT_ONLY)
        return attempt.answer(rules, Success(frozenset({200})))
    if key.may_have_rotated(attempt.now):
        learn = (("resources", _all_of(key, page.limit)),) if page.whole else ()
        return attempt.answer(
            rules, Success(frozenset({200}), _after_policy(attempt, key, page), learn=learn)
        )
    newest_first = list(reversed(key.versions))
    part = newest_first[page.offset : page.offset + page.limit]
    facts: dict[str, Rule] = {"metadata.collectionTotal": Equal(len(part))}
    if page.total:
        facts["metadata.totalCount"] = Equal(len(newest_first))
    ids = frozenset(version.id for version in key.versions if version.id)
    learned: list[Learn] = []
    for place, version in enumerate(part):
        path = f"resources.{place}.id"
        facts[path] = Equal(version.id) if version.id else NoneOf(ids)
        facts[f"resources.{place}.creationDate"] = Optional(near(attempt, version.at))
        if not version.id:
            learned.append((path, _namer(key, len(key.versions) - 1 - page.offset - place)))
    return attempt.answer(rules, Success(frozenset({200}), facts, learn=tuple(learned)))


def _after_policy(attempt: Attempt, key: Key, page: Page) -> dict[str, Rule]:
    """Return what a list shows when a rotation policy may have made a version, or surely has."""
    facts: dict[str, Rule] = {"metadata.collectionTotal": Between(0, page.limit)}
    if not key.must_have_rotated(attempt.now, attempt.timing.slack):
        return facts
    if page.total:
        facts["metadata.totalCount"] = Between(len(key.versions) + 1, _MANY)
    if page.whole:
        facts["resources.0.id"] = NoneOf(frozenset(version.id for version in key.versions if version.id))
    return facts


def _namer(key: Key, place: int) -> Any:
    def take(state: Instance, value: Any) -> Instance:
        now = state.key(key.id)
        if not isinstance(value, str) or place >= len(now.versions):
            return state
        versions = list(now.versions)
        versions[place] = replace(versions[place], id=value)
        return state.put(replace(now, versions=tuple(versions)))

    return take


def _all_of(key: Key, limit: int) -> Any:
    """Return how the whole list settles which versions a rotation policy has made; a full page may not be the whole."""

    def take(state: Instance, value: Any) -> Instance:
        now = state.key(key.id)
        if not isinstance(value, list) or not all(isinstance(one, dict) and "id" in one for one in value):
            return state
        if len(value) >= limit:
            return state
        dates = {version.id: version.at for version in now.versions}
        versions = tuple(
            Version(
                str(one["id"]),
                seconds_of(one.get("creationDate")) or dates.get(str(one["id"]), now.newest.at),
            )
            for one in reversed(value)
        )
        return state.put(replace(now, versions=versions or now.versions, open_versions=False))

    return take
