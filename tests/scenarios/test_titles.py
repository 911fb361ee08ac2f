"""The title of a case stands alone: reports show it without its neighbours."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from cases import collected

from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import known_contracts

# Words that point back to a sentence before: a title that begins with one leans on its neighbour.
LEANING = re.compile(
    r"(again|also|and|besides|but|conversely|either|else|elsewhere|even|furthermore|he|her|here|hers|his|how|however"
    r"|instead|it|its|later|likewise|moreover|neither|nor|or|otherwise|she|similarly|so|still|such|that|their|then"
    r"|there|therefore|these|they|this|those|thus|too|whereas|yet)\b"
)
LEANING_PHRASES = (
    "as above",
    "as before",
    "the former",
    "the latter",
    "the other",
    "the others",
    "the rest",
    "the same",
)
LEANING_ENDS = ("as above", "either", "too")
MOST_CASES = 5
SHORTEST = 4
CONTRACTS = known_contracts()


def leans(title: str) -> bool:
    """Tell whether a title needs the sentence before it to be understood."""
    words = re.findall(r"[\w'-]+", title.lower())
    text = " ".join(words)
    return (
        len(words) < SHORTEST
        or LEANING.match(text) is not None
        or text.startswith(LEANING_PHRASES)
        or any(text.endswith(f" {end}") for end in LEANING_ENDS)
    )


@pytest.mark.parametrize("contract", CONTRACTS)
def test_no_title_leans(contract: str) -> None:
    """No title begins or ends with a word that leans on the title before it, or is too short to be a rule."""
    assert [f"{case.id}: {case.title}" for case in listed_cases(contract) if leans(case.title)] == []


@pytest.mark.parametrize(
    "title",
    [
        "Nor is one later.",
        "So can a standard key.",
        "The same with a policy.",
        "It is refused.",
        "Also when it is off.",
    ],
)
def test_titles_that_lean_are_seen(title: str) -> None:
    """What a title must not look like is found."""
    assert leans(title)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_few_cases_share_a_title(contract: str) -> None:
    """At most five cases have one title; those that differ in their parameters count one by one."""
    shared = Counter(case.info.title for case in collected(contract).values())
    assert len(shared) > MOST_CASES
    assert {title: times for title, times in shared.items() if times > MOST_CASES} == {}


def test_no_title_is_used_in_two_systems() -> None:
    """No two functions, of whichever system, have the same title."""
    titles = Counter(case.title for contract in CONTRACTS for case in listed_cases(contract))
    assert [title for title, times in titles.items() if times > 1] == []
