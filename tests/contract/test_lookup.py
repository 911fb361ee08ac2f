"""A refusal is recognised however it was pasted: every code and every text in many frames, and nothing else."""

from __future__ import annotations

import html
import json
from collections.abc import Callable

import pytest

from kms_conformance.contract.contract import known_contracts, load_contract
from kms_conformance.contract.lookup import NEAR, in_log, pasted, recognised
from kms_conformance.contract.phrases import Kind

CONTRACTS = [
    load_contract(name) for name in ("key_protect", *sorted(set(known_contracts()) - {"key_protect"}))
]
CODES = [
    (contract.id, code)
    for contract in CONTRACTS
    for code in contract.codes
    if not code[0].isdigit() and code != "UNAUTHORIZED"
]
PAIRS = [code for code in load_contract("hpcs_tke").codes if "/" in code]
TEXTS = [
    (contract.id, known.code, text)
    for contract in CONTRACTS
    for known in contract.codes.values()
    for text in known.messages
]
FILLED = {
    "<ID>": "kube-1",
    "<provider>": "SoftLayer",
    "<message>": "Provided API key could not be found.",
    "<group>": "default",
}
Frame = Callable[[str], str]


def wrapped(text: str, mark: str) -> str:
    """Return a text in lines of four words, each after a mark."""
    words = text.split(" ")
    return "\n".join(mark + " ".join(words[place : place + 4]) for place in range(0, len(words), 4))


CODE_FRAMES: dict[str, Frame] = {
    "plain": lambda code: code,
    "brackets": lambda code: f"({code})",
    "log line": lambda code: (
        f"2026-11-29T10:00:00.123Z ERROR [kms] request 4711 failed: code={code} after 3 ms"
    ),
    "body": lambda code: json.dumps({"resources": [{"reasons": [{"code": code, "status": 999}]}]}),
    "body in a string": lambda code: json.dumps({"log": json.dumps({"incidentID": "3e", "code": code})}),
    "client": lambda code: (
        f"kp.Error: correlation_id='4d', msg='Conflict: Please see `reasons` for more details ({code})'"
    ),
    "command line": lambda code: f"FAILED\n{code}\nKey is not in a valid state\nCorrelation-ID:abc",
    "terraform": lambda code: f"\u2577\n\u2502 Error: it failed: {code}\n\u2502\n\u2575",
    "page": lambda code: f"<p>Reason code: <code>{code}</code></p>",
    "markdown": lambda code: f"> the answer was `{code}`, **{code}**",
    "colour": lambda code: f"\x1b[31m{code}\x1b[0m",
}
TEXT_FRAMES: dict[str, Frame] = {
    "plain": lambda text: text,
    "capitals": str.upper,
    "label": lambda text: f"Message: {text}",
    "page's label": lambda text: f"### Message\n\n`{text}`",
    "among words": lambda text: f"Error querying crypto units. {text}. Try again.",
    "status": lambda text: f"Refused: {text} Status: 599",
    "terraform": lambda text: wrapped(text, "\u2502 "),
    "mail": lambda text: wrapped(text, "> "),
    "quotes": lambda text: text.replace("'", "\u2019").replace("`", "\u201c"),
    "no quotes": lambda text: text.replace("'", "").replace("`", ""),
    "breaks for stops": lambda text: text.replace(": ", "\n").replace(". ", "\n"),
    "JSON": lambda text: json.dumps({"message": text}),
    "JSON in JSON": lambda text: json.dumps({"log": json.dumps({"message": text})}),
    "HTML": lambda text: f"<pre>{html.escape(text)}</pre>",
    "HTML twice": lambda text: html.escape(html.escape(text)),
    "box": lambda text: f"+----+\n| {text} |\n+----+",
}


def names(text: str) -> list[str]:
    """Return what a text is taken for, the likeliest first."""
    return [answer.entry.name for answer in pasted(CONTRACTS, text)]


@pytest.mark.parametrize("frame", CODE_FRAMES)
def test_every_code_in_every_frame(frame: str) -> None:
    """A code anywhere is the answer, and the only one."""
    assert [code for _, code in CODES if names(CODE_FRAMES[frame](code)) != [code]] == []


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.title])
def test_codes_in_any_case(spelled: Callable[[str], str]) -> None:
    """Codes that answers carry are known in any case, also among words; the suite's own names are, by themselves."""
    for contract, code in CODES:
        code_entry = load_contract(contract).codes[code]
        assert [one.code for one in recognised(load_contract(contract), spelled(code))] == [code]
        if code_entry.in_body:
            assert names(f"it says: {spelled(code)}.") == [code]


@pytest.mark.parametrize(
    "frame",
    [
        "return {0} reason {1}",
        "Return code: {0}\nReason code: {1}",
        "rc={0}, {1}",
        "EP11 error {0}/{1} now",
        "\u2502 Return code: {0}\n\u2502 Reason code: {1}\n",
    ],
)
def test_every_pair(frame: str) -> None:
    """Return and reason code of a crypto module are known as tools print them."""
    missed = [pair for pair in PAIRS if names(f"FAILED\n{frame.format(*pair.split('/'))}\nOK") != [pair]]
    assert missed == []


@pytest.mark.parametrize("frame", TEXT_FRAMES)
def test_every_message_in_every_frame(frame: str) -> None:
    """The text of a message leads to its code first, whatever is around it; codes that share it follow."""
    missed = []
    for contract, code, text in TEXTS:
        filled = text
        for placeholder, value in FILLED.items():
            filled = filled.replace(placeholder, value)
        codes = names(TEXT_FRAMES[frame](filled))
        same = {
            other
            for _, other, other_text in TEXTS
            if other_text.rstrip(".").casefold() == text.rstrip(".").casefold()
        }
        if code not in codes or not set(codes) <= same:
            missed.append((contract, code, text, codes))
    assert missed == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.id)
def test_every_heading(contract: object) -> None:
    """Each heading of the page leads to its section's codes, also as the table of contents cuts it short."""
    for section in contract.about["sections"]:  # type: ignore[attr-defined]  # parametrised
        headings = [section["title"], *section.get("headings", ())]
        for heading in headings[:1] if len(headings[0].split()) > 1 else headings[1:]:
            assert set(section.get("codes", ())) <= set(names(f"- {heading} details")), heading
        for heading in section.get("headings", ()):
            assert set(section.get("codes", ())) <= set(names(f"- {heading} details")), heading


def test_every_subject() -> None:
    """What errorMsg says leads to the codes that it was seen with; the status of the answer leaves fewer."""
    for code in CONTRACTS[0].codes.values():
        for subject in code.subjects:
            phrase = {
                400: "Bad Request",
                401: "Unauthorized",
                403: "Forbidden",
                404: "Not Found",
                409: "Conflict",
                410: "Gone",
                422: "Unprocessable Entity",
                500: "Internal Server Error",
            }
            codes = names(f"{phrase[code.statuses[0]]}: {subject}: Please see `reasons` for more details")
            assert code.code in codes, subject
            assert all(
                code.statuses[0] in CONTRACTS[0].codes[other].statuses
                for other in codes
                if other in CONTRACTS[0].codes
            )


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("KEY_INVALID_STATE_ERR: Key is not in a valid state", ["KEY_INVALID_STATE_ERR"]),
        ("Key is not in a valid state", ["KEY_ACTION_INVALID_STATE_ERR", "KEY_INVALID_STATE_ERR"]),
        ("Conflict: Key is not in a valid state. Status: 409", ["KEY_ACTION_INVALID_STATE_ERR"]),
        ("Key is not in a valid state (HTTP 422)", ["KEY_INVALID_STATE_ERR"]),
        ("status code 422: Key is not in a valid state", ["KEY_INVALID_STATE_ERR"]),
        ("Message: Unauthorized\nYour access token is invalid, expired, or does not have the necessary permissions to access this instance.", ["UNAUTHORIZED"]),
        ("Bad Request: rpc error: code = Unknown desc = CKR_IBM_WK_NOT_INITIALIZED", ["tke-crypto-ready"]),
        ("Conflict: 3 prior authorization(s) are required for deletion: Key could not be deleted", ["AUTHORIZATIONS_NOT_MET"]),
        ('{"incidentID":"3e","code":"E09c0","description":"x"}', ["E09c0"]),
        ("NHC009   Network     Error      The IAM token exchange request failed.", ["NHC009"]),
        ("The worker node instance cannot be identified. Review 'x' infrastructure user permissions.", ["WORKER_INSTANCE_UNIDENTIFIED"]),
        ("(A0656) and then (E0057)", ["A0656", "E0057"]),
        ("\u201cBad Request: Token is expired\u201d", ["UNAUTHORIZED_ERR"]),
    ],
)  # fmt: skip
def test_what_people_paste(text: str, codes: list[str]) -> None:
    """Codes first, the longest text next, and only what has the status that the text names."""
    if codes == ["AUTHORIZATIONS_NOT_MET"]:
        assert names(text)[:1] == codes
    else:
        assert names(text) == codes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "401 Unauthorized",
        "HTTP/1.1 409 Conflict",
        "Error: Forbidden",
        "the key could not be found",
        "a signature is invalid in some other way",
        "MY_KEY_DELETED_ERR_2",
        "KEY_DELETED_ERRORS",
        "invalid_api_key",
        "0xE0057 and b8e0011f-e005-4e00-8e00-1234567e0051",
        "(7/14) upgrading kms (1.2-3 -> 1.2-4)",
        "12/31, page 3 of 7; return 3",
        "2026-01-01 key could not be deleted from the map",
        "return 209 days, reason unknown",
        "Key is not in a valid place",
        "The worker node instance was found. Review nothing.",
        "cannot be found",
        "\x00\x01\xff",
        "\u2502 \u2502 > > ```",
        "&lt;b&gt;&amp;amp;",
        "\\u12 \\n \\",
    ],
)
def test_what_is_none_of_ours(text: str) -> None:
    """What only resembles a refusal is not taken for one."""
    assert names(text) == []


def lines(text: str) -> list[tuple[int, list[str]]]:
    """Return what is found in a log: line and names."""
    matches = in_log(CONTRACTS, enumerate(text.splitlines(), 1))
    return [(refusal.line, [answer.entry.name for answer in refusal.answers]) for refusal in matches]


LOG = """starting
1 ERROR code=KEY_DELETED_ERR
ok
FAILED
KEY_ACTION_INVALID_STATE_ERR
Key is not in a valid state
Correlation-ID:abc
fine
fine
fine
fine
fine
fine
fine
fine
fine
\u2502 Conflict: Key is protecting
\u2502 one or more cloud resources
fine
again KEY_DELETED_ERR and (E0057)"""


def test_log() -> None:
    """Each refusal of a log is named once, with the line on which it begins."""
    assert lines(LOG) == [
        (2, ["KEY_DELETED_ERR"]),
        (5, ["KEY_ACTION_INVALID_STATE_ERR"]),
        (17, ["PROTECTED_RESOURCE_ERR"]),
        (20, ["KEY_DELETED_ERR"]),
        (20, ["E0057"]),
    ]


def test_log_of_a_body() -> None:
    """A body over several lines is one refusal: its errorMsg and its message are told by its code."""
    body = {
        "metadata": {"collectionTotal": 1},
        "resources": [
            {
                "errorMsg": "Conflict: Key could not be deleted: Please see `reasons` for more details",
                "reasons": [
                    {
                        "code": "PROTECTED_RESOURCE_ERR",
                        "message": "Key is protecting one or more cloud resources",
                    }
                ],
            }
        ],
    }
    (match,) = lines(json.dumps(body, indent=2))
    assert match[1] == ["PROTECTED_RESOURCE_ERR"]


def test_far_away_texts_are_refusals_of_their_own() -> None:
    """A message is told by a code of the lines around it only."""
    far = "\n".join(
        [
            "KEY_DELETED_ERR",
            *["fine"] * (2 * NEAR),
            "Key has already been deleted. Please delete references to this key.",
        ]
    )
    assert [codes for _, codes in lines(far)] == [["KEY_DELETED_ERR"], ["KEY_DELETED_ERR"]]


@pytest.mark.parametrize(
    ("log", "code"),
    [
        ('{"log":"Gone: Key could not be retrieved: Key has already been deleted\\n"}', "KEY_DELETED_ERR"),
        (
            "Message:  Key could not be rotated: This root key has been\n          rotated within the last hour",
            "KEY_ROTATION_NOT_PERMITTED",
        ),
    ],
)
def test_a_subject_before_its_title_is_one_refusal(log: str, code: str) -> None:
    """What could not be done, and the page's title for why, in one sentence: that is one refusal, and its code is sure."""
    refusals = list(in_log(CONTRACTS, enumerate(log.splitlines(), start=1)))
    assert [[answer.entry.name for answer in refusal.answers] for refusal in refusals] == [[code]]


def test_a_log_is_forgotten_as_it_is_read() -> None:
    """What a log has held does not stay: neither words nor findings grow with it."""
    import tracemalloc  # noqa: PLC0415 - this test only

    def endless(count: int) -> object:
        return (
            (number, "fine, and Key could not be deleted: KEY_DELETED_ERR at 409")
            for number in range(1, count)
        )

    def most(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in in_log(CONTRACTS, endless(count))) == count - 1  # type: ignore[arg-type]  # a generator
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(50)
    assert most(4000) < 2 * most(400) + 100_000


def test_kinds() -> None:
    """What an answer was recognised by is told."""
    kinds = [
        pasted(CONTRACTS, text)[0].kind
        for text in (
            "(E0011)",
            "Key restoration has expired",
            "Invalid field error",
            "KeyVersion(s) could not be retrieved",
        )
    ]
    assert kinds == [Kind.CODE, Kind.MESSAGE, Kind.HEADING, Kind.SUBJECT]
