"""The Key Protect contract and its source pages prove each other, both ways.

The pages are no part of the repository. They are looked for in ``$KMS_SOURCE_PAGES``, else in ``../shared/seeds``
beside it, and known by their SHA-256; without them these tests are skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.lookup import pasted
from kms_conformance.contract.messages import normalise, says

ROOT = Path(__file__).resolve().parents[2]
PAGES = Path(os.environ.get("KMS_SOURCE_PAGES") or ROOT.parent / "shared" / "seeds")
ANCHOR = re.compile(r"^\{: #([\w-]+)\}$", re.MULTILINE)
REASON = re.compile(r"^Reason code: (\S+)$", re.MULTILINE)
LISTED_CODE = re.compile(r"^- ([A-Z_]+) (?:- )?details$", re.MULTILINE)
SENT = re.compile(r"-d '(\s*\{.*?\n\s*\})'", re.DOTALL)
SHOWN = re.compile(r"^[ ]*([\[{])[ ]*$", re.MULTILINE)
SHELL = re.compile(r"\"'\$\w+'\"")
COMMAND = re.compile(r"^\s*(?:\$ |curl |-[HX] |\"https).*$", re.MULTILINE)
ERROR = "application/vnd.ibm.kms.error+json"


@dataclass(frozen=True)
class Example:
    """One JSON text of a page: its id (anchor before it and number), its text, whether a request sends it."""

    id: str
    text: str
    sent: bool

    @property
    def document(self) -> Any:
        """The parsed text; raises ValueError where it is not JSON. Shell variables are read as a word."""
        return json.loads(SHELL.sub('"WORD"', self.text))

    @property
    def is_json(self) -> bool:
        """Whether the text parses."""
        try:
            self.document  # noqa: B018 - parsing is the question
        except ValueError:
            return False
        return True

    @property
    def is_error(self) -> bool:
        """Whether the text is an error reply."""
        return not self.sent and ERROR in self.text


@cache
def contract(name: str) -> Any:
    """Return a file of the Key Protect contract."""
    return yaml.safe_load((ROOT / "contracts" / "key_protect" / name).read_text(encoding="utf-8"))


def page(role: str) -> str:
    """Return the text of the page with a role, found by its hash; skip the test when there is none."""
    wanted = next(
        source["file_sha256"] for source in contract("contract.yaml")["sources"] if source["role"] == role
    )
    if not PAGES.is_dir():
        pytest.skip("the source pages are not here: set KMS_SOURCE_PAGES to their folder")
    for path in sorted(PAGES.iterdir()):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == wanted:
            return path.read_text(encoding="utf-8")
    pytest.skip(f"no file with SHA-256 {wanted} among the source pages")


def block(text: str, anchor: str) -> str:
    """Return what stands between an anchor and the next one."""
    start = text.index(f"{{: #{anchor}}}")
    after = ANCHOR.search(text, start + 1)
    return text[text.index("\n", start) : after.start() if after else len(text)]


def section_text(text: str, anchor: str, anchors: list[str]) -> str:
    """Return a section up to the next one, or to the lists at the end."""
    following = [*anchors, "error-messages-sorted-by-http-status-code"][anchors.index(anchor) + 1]
    return text[text.index(f"{{: #{anchor}}}") : text.index(f"{{: #{following}}}")]


def sections_of(text: str) -> list[str]:
    """Return the anchors of the sections as the page tells them: those that have a message below them."""
    anchors = ANCHOR.findall(text)
    return [anchor for anchor in anchors if f"{anchor.replace('_', '-')}-message" in anchors]


def status_of(text: str, anchor: str) -> int:
    """Return the HTTP status that a section prints."""
    printed = block(text, f"{anchor.replace('_', '-')}-http").strip().splitlines()[0]
    match = re.fullmatch(r"(\d{3})(?: - [A-Z][A-Za-z ]+)?", printed)
    assert match, printed
    return int(match[1])


def examples_of(text: str) -> list[Example]:
    """Return every JSON text of a page in order: bodies of requests and replies."""
    texts = [(match.start(1), match[1], True) for match in SENT.finditer(text)]
    bodies = [(match.start(), match.end()) for match in SENT.finditer(text)]
    end = 0
    for match in SHOWN.finditer(text):
        if match.start(1) < end or any(start <= match.start(1) < stop for start, stop in bodies):
            continue
        close = {"{": "}", "[": "]"}[match[1]]
        indent = match.start(1) - match.start()
        stop = _closing(text, match.start(1), match[1], close)
        end = stop
        texts.append((match.start(1), text[match.start() + indent : stop], False))
    texts.sort()
    anchors = [(match.start(), match[1]) for match in ANCHOR.finditer(text)]
    counts: dict[str, int] = {}
    examples = []
    for place, body, sent in texts:
        anchor = next((name for start, name in reversed(anchors) if start < place), "page")
        counts[anchor] = counts.get(anchor, 0) + 1
        examples.append(Example(f"{anchor}#{counts[anchor]}", body, sent))
    return examples


def _closing(text: str, start: int, opening: str, close: str) -> int:
    """Return where the bracket that opens at a place closes; brackets in strings are rare enough to be balanced."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == opening) - (text[place] == close)
        if not depth:
            return place + 1
    raise ValueError("a bracket stays open")


def named_by_errata(member: str) -> set[str]:
    """Return the examples that the errata except from a rule."""
    return {example for row in contract("errata.yaml")["errata"] for example in row.get(member, ())}


def validator(name: str) -> jsonschema_rs.Validator:
    """Return a compiled schema."""

    def read(uri: str) -> Any:
        file = uri.partition("#")[0].rsplit("/", 1)[-1]
        return json.loads((ROOT / "schemas" / file).read_text(encoding="utf-8"))

    return jsonschema_rs.validator_for(read(f"{name}.schema.json"), retriever=read, validate_formats=False)


@pytest.fixture(scope="module")
def english() -> str:
    """Return the normative page."""
    return page("normative")


@pytest.fixture(scope="module")
def chinese() -> str:
    """Return the translated page."""
    return page("translation")


@pytest.fixture(scope="module")
def codes() -> dict[str, Any]:
    """Return the documented reason codes of the contract."""
    return {row["code"]: row for row in contract("reason_codes.yaml")["codes"] if row["documented"]}


@pytest.fixture(scope="module")
def sections() -> list[Any]:
    """Return the sections of the contract."""
    return list(contract("contract.yaml")["sections"])


def accepted(row: Any, text: str) -> bool:
    """Tell whether a code accepts a message text."""
    return any(says(text, message, detail="detail" in row) for message in row["messages"])


def test_sections_are_the_same(english: str, sections: list[Any]) -> None:
    """The contract has the page's 36 sections, same anchors, same order, same status."""
    assert sections_of(english) == [section["anchor"] for section in sections]
    assert [section["number"] for section in sections] == list(range(1, 37))
    assert {anchor: status_of(english, anchor) for anchor in sections_of(english)} == {
        section["anchor"]: section["status"] for section in sections
    }


def test_edition_is_the_date_of_the_page(english: str) -> None:
    """The contract's edition is the date that the page prints at its head."""
    assert contract("contract.yaml")["edition"] in english[:400]


def test_table_of_contents_is_the_same(english: str, sections: list[Any]) -> None:
    """Each entry of the table of contents begins the title of the section at the same place."""
    entries = re.findall(
        r"^- (.+?)\.* details$", block(english, "error-messages-table-of-contents"), re.MULTILINE
    )
    assert len(entries) == len(sections)
    for entry, section in zip(entries, sections, strict=True):
        assert normalise(section["title"]).startswith(normalise(entry)), entry


def test_codes_are_the_same(english: str, codes: dict[str, Any]) -> None:
    """The page's list of reason codes is the contract's, neither more nor less."""
    listed = LISTED_CODE.findall(block(english, "error-messages-sorted-by-reason-code"))
    assert len(listed) == 35
    assert set(listed) == set(codes)
    assert len(set(listed)) == len(listed)


def test_each_section_names_its_codes(english: str, sections: list[Any]) -> None:
    """A section's printed codes, and those of its examples, are the contract's for that section."""
    anchors = sections_of(english)
    for section in sections:
        text = section_text(english, section["anchor"], anchors)
        printed = REASON.findall(text)
        shown = [code.strip() for code in re.findall(r'"code": ?"([^"]+)"', text)]
        assert set(printed) | set(shown) == set(section["codes"]), section["anchor"]


def test_code_names_where_it_is_printed(english: str, codes: dict[str, Any]) -> None:
    """A code's sections are those of the page that print it as their reason code or in an example."""
    anchors = sections_of(english)
    for code, row in codes.items():
        word = re.compile(rf"\b{code}\b")
        assert [
            anchor for anchor in anchors if word.search(section_text(english, anchor, anchors))
        ] == sorted(row["sections"], key=anchors.index), code


def test_headings_are_accepted_messages(english: str, codes: dict[str, Any], sections: list[Any]) -> None:
    """The text above each reason code is a text that the contract accepts for that code."""
    for section in sections:
        heading = block(english, f"{section['anchor'].replace('_', '-')}-message").strip()
        if section["anchor"].endswith("-key-delete-err"):
            pairs = re.findall(r"^Reason code: (\S+)\n(.+)$", heading, re.MULTILINE)
            assert len(pairs) == 3
            for code, text in pairs:
                assert any(
                    normalise(text).startswith(normalise(message)) for message in codes[code]["messages"]
                ), code
        elif section["anchor"].endswith("-invalid-field-err"):
            for message in codes["INVALID_FIELD_ERR"]["messages"][:2]:
                assert normalise(message) in normalise(heading)
        else:
            text, _, code = heading.rpartition("\nReason code: ")
            assert accepted(codes[code], text), text


def test_example_messages_are_accepted(english: str, codes: dict[str, Any]) -> None:
    """The message, status and target of every error example are what the contract has for its code."""
    seen = set()
    for example in examples_of(english):
        if not example.is_error:
            continue
        for reason in example.document["resources"][0].get("reasons", ()):
            row = codes[reason["code"].strip()]
            seen.add(row["code"])
            assert accepted(row, reason["message"]), example.id
            assert [reason["status"]] == row["status"], example.id
            if row["target"] is not None:
                assert reason["target"] == row["target"], example.id
    assert len(seen) == 19


def test_messages_are_the_pages(english: str, codes: dict[str, Any]) -> None:
    """The first accepted text of each documented code stands on the page."""
    whole = normalise(english)
    for code, row in codes.items():
        assert normalise(row["messages"][0]) in whole, code


def test_example_error_messages_have_a_known_subject(english: str, codes: dict[str, Any]) -> None:
    """What errorMsg is about in each example is a subject that the contract lists for its code."""
    for example in examples_of(english):
        if example.is_error:
            resource = example.document["resources"][0]
            for reason in resource.get("reasons", ()):
                subjects = codes[reason["code"].strip()]["errorMsg"]
                assert any(subject in resource["errorMsg"] for subject in subjects), example.id


def test_list_by_status_is_the_same(english: str, codes: dict[str, Any], sections: list[Any]) -> None:
    """Under each status the page lists the messages of the contract's sections with that status, save erratum E9."""
    anchors = [
        anchor for anchor in ANCHOR.findall(english) if re.fullmatch(r"error-messages-http-\d{3}", anchor)
    ]
    listed = {}
    for anchor in anchors:
        text = block(english, anchor).replace("\n", " ")
        entries = [re.sub(r"^[\s-]+|[\s-]+$", "", entry) for entry in re.split(r"\bdetails\b", text)]
        listed[int(anchor[-3:])] = [entry for entry in entries if entry]
    assert set(listed) == {section["status"] for section in sections}
    for status, entries in listed.items():
        expected = [
            s for s in sections if s["status"] == status and not s["anchor"].endswith("-key-delete-err")
        ]
        assert len(entries) == len(expected), status
        for entry, section in zip(entries, expected, strict=True):
            code = codes[section["codes"][0]]
            assert accepted(code, entry) or normalise(entry).startswith(normalise(section["title"])), entry


def test_error_examples_fit_the_envelope(english: str) -> None:
    """Every error example is an error envelope, except exactly those that the errata name."""
    check = validator("error-envelope")
    errors = [example for example in examples_of(english) if example.is_error]
    assert len(errors) == english.count(ERROR)
    assert {e.id for e in errors if not check.is_valid(e.document)} == named_by_errata("breaks_schema")


def test_other_examples_are_json(english: str) -> None:
    """Every other JSON text parses, except exactly those that the errata name."""
    others = [example for example in examples_of(english) if not example.is_error]
    assert sum(example.sent for example in others) == english.count("-d '{")
    assert {example.id for example in others if not example.is_json} == named_by_errata("breaks_json")


def test_successful_replies_fit_their_schemas(english: str) -> None:
    """The replies that succeed on the page fit the schemas of their operations."""
    kinds = {
        "keyVersion": "unwrap-result",
        "remainingRetrievals": "import-token",
        "metadata": "key-collection",
    }
    judged = []
    for example in examples_of(english):
        if example.sent or example.is_error or not isinstance(example.document, dict):
            continue
        for member, schema in kinds.items():
            if member in example.document:
                assert validator(schema).is_valid(example.document), example.id
                judged.append(schema)
        if "metadata" in example.document:
            assert all(validator("key").is_valid(key) for key in example.document["resources"]), example.id
    assert sorted(judged) == ["import-token", *["key-collection"] * 4, "unwrap-result"]


def test_errata_name_examples_of_the_page(english: str) -> None:
    """An example that an erratum excepts exists."""
    ids = {example.id for example in examples_of(english)}
    assert named_by_errata("breaks_schema") | named_by_errata("breaks_json") <= ids


def test_translation_shows_the_same_examples(english: str, chinese: str) -> None:
    """Both pages show the same JSON texts in the same order, slips included."""

    def without_prose(example: Example) -> Any:
        return example.document if example.is_json else re.sub(r"\s+", "", example.text)

    assert [without_prose(example) for example in examples_of(chinese)] == [
        without_prose(example) for example in examples_of(english)
    ]


def test_translation_shows_the_same_commands(english: str, chinese: str) -> None:
    """Both pages show the same command lines."""

    def commands_of(text: str) -> list[str]:
        return [" ".join(line.split()) for line in COMMAND.findall(text)]

    assert commands_of(chinese) == commands_of(english)


def test_translation_slips_are_errata(english: str, chinese: str) -> None:
    """The translation names the same reason codes in the same order, except where an erratum quotes it."""
    printed = re.findall(r"^原因码 ?:\s*(\S+)$", chinese, re.MULTILINE)
    slips = {row["printed"]: row["code"] for row in contract("errata.yaml")["errata"] if "printed" in row}
    assert set(slips) <= set(printed)
    assert [slips.get(code, code) for code in printed] == REASON.findall(english)


def test_translation_lacks_the_list_by_code(chinese: str) -> None:
    """The translation ends after the heading of its list by reason code, as erratum Z5 says."""
    assert "Z5" in {row["id"] for row in contract("errata.yaml")["errata"]}
    assert not LISTED_CODE.findall(chinese)


def test_translation_has_the_same_statuses(chinese: str, sections: list[Any]) -> None:
    """The translation prints the same status in each section."""
    printed = re.findall(r"^HTTP 状态码\n\n(\d{3})", chinese, re.MULTILINE)
    assert [int(status) for status in printed] == [section["status"] for section in sections]


def test_explain_knows_what_the_page_prints() -> None:
    """Each entry of the table of contents, and each error body of the page, leads to codes of its section."""
    contracts = [load_contract("key_protect")]
    entries = re.findall(r"^- (.+) details$", page("normative"), re.MULTILINE)
    titles = [entry for entry in entries if not re.fullmatch(r"[A-Z_]+(?: -)?", entry)]
    assert len(titles) >= len(contract("contract.yaml")["sections"])
    assert [entry for entry in titles if not pasted(contracts, entry)] == []
    bodies = [
        example
        for example in examples_of(page("normative"))
        if example.is_error and "reasons" in example.text
    ]
    assert len(bodies) > 20
    for example in bodies:
        code = re.search(r'"code":\s*"\s*([A-Z_]+)', example.text)
        assert code is not None
        assert [answer.entry.name for answer in pasted(contracts, example.text)] == [code[1]], example.id
