"""The rules that a kill matrix must keep. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cases import law_of

from kms_reference.defects import LAW_OF

Matrix = Mapping[str, Any]

# Rows that no section of the page holds stand under a topic; here is which sections a topic elaborates.
TOPICS: Mapping[str, frozenset[str]] = {
    "api-dual-auth": frozenset({"authorizations-not-met", "not-dual-auth-err", "key-delete-err"}),
    "api-import": frozenset({"import-token-expired-err", "incorrect-nonce-err", "incorrect-nonce-iv-err"}),
    "api-keys": frozenset({"key-payload-req-err", "invalid-field-err"}),
    "api-policies": frozenset({"key-create-import-access-err"}),
    "api-rotate": frozenset({"key-rotation-not-permitted", "key-payload-req-err"}),
    "api-state": frozenset(
        {"req-too-early-err", "key-action-invalid-state-err", "key-restore-expired", "key-deleted-err"}
    ),
    "api-wrap": frozenset({"unprocessable-ciphertext-err", "invalid-sig-exp-err"}),
}


PAUSING: Mapping[str, tuple[str, ...]] = {
    "tke-two-commands-at-once": ("hpcs_tke.signatures.one_counter_at_once",),
    "tke-unit-of-another-request": ("hpcs_tke.signatures.two_units_at_once",),
    "tke-command-undoes-another": ("hpcs_tke.signatures.one_counter_at_once",),
}
"""Defects that let every command wait, so that two meet: with the cases that send two at once, not with all others."""
NIGHTLY: Mapping[str, tuple[str, ...]] = {
    "key-used-up": ("key_protect.laws.quantity[uses-of-a-key]",),
    "registrations-page-of-20": ("key_protect.laws.quantity[registrations]",),
    "rotation-undoes-disabling-briefly": (
        "key_protect.laws.concurrency[rotate-disable]",
        "key_protect.laws.concurrency[rotate-rotate]",
    ),
}
"""What a gate does not find, or now and then only, because it makes too few or does not try often enough: the cases that find it each time in a nightly run.

Such a row is made of these cases, as a nightly run tries them."""


def broken_rules(matrix: Matrix) -> list[str]:
    """Return one line for each broken rule; none when the suite is proved.

    Every defect is found: a case fails, or warns where the contract's rows allow no more; at least one of these cases
    covers a section of the defect; no defect brings the suite itself down; no variation raises an alarm; every case
    of a documented sequence with a MUST fails for at least one defect. What a law is made for is run with its cases only.
    """
    sections = {case["id"]: _elaborated(case["sections"]) for case in matrix["cases"]}
    lines = []
    for row in matrix["defects"]:
        name = f"{row['contract']}: {row['name']}"
        finders = [*row["found_by"], *row["warned"]]
        if not finders:
            lines.append(f"defect {name} is seen by no case: {row['doc']}")
        elif (
            row["sections"]
            and row["name"] not in LAW_OF
            and not any(sections[case] & _short(row["sections"]) for case in finders)
        ):
            names = ", ".join(finders[:3])
            lines.append(
                f"defect {name} is found by no case of its sections {', '.join(row['sections'])} (by {names})"
            )
        lines += [f"defect {name} makes {case} err" for case in row["errors"]]
    for row in matrix["variations"]:
        name = f"{row['contract']}: {row['name']}"
        if row["verdict"] != "conformant":
            alarmed = [*row["found_by"], *row["inconclusive"], *row["errors"]]
            lines.append(f"variation {name} is {row['verdict']} ({', '.join(alarmed[:5])})")
    killers = {case for row in matrix["defects"] for case in row["found_by"]}
    lines += [
        f"case {case['id']} has a MUST and finds no defect"
        for case in matrix["cases"]
        if case["must"] and case["id"] not in killers and not law_of(case["id"])
    ]
    return lines


def _elaborated(sections: Iterable[str]) -> set[str]:
    """Return the sections of a case and those that its topics elaborate."""
    own = _short(sections)
    return own.union(*(TOPICS.get(section, ()) for section in own))


def _short(sections: Iterable[str]) -> set[str]:
    return {section.replace("_", "-") for section in sections}
