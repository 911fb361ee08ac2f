"""The search for secrets finds what the plainest possible search finds, in any spelling, and in linear time."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kms_conformance.redaction.redactor import Redactor
from kms_conformance.redaction.variants import PIECE, SHORTEST, Search, parts, spellings

# Few letters, so that spellings overlap, begin alike and contain each other.
FORM = st.text("aB1-", min_size=SHORTEST, max_size=40)
TEXT = st.text("aB1-. ", max_size=30)
KEY = "Zq8xT/Wm+Rk3v9RtYb2LmN4pQ7sWdE6uHgJ1cFaXi0A="
LABEL = "payload"
Place = tuple[int, int, str]


def folded(text: str) -> str:
    """Return a text as the search sees it."""
    return text.lower().replace("-", "+").replace("_", "/")


def plainly(forms: list[str], inner: list[str], text: str) -> list[Place]:
    """Search without any index: the longest spelling from left to right, then every piece between them."""
    low, places = folded(text), []
    place = 0
    while place < len(low):
        here = [form for form in map(folded, forms) if low.startswith(form, place)]
        if here:
            longest = max(here, key=len)
            places.append((place, place + len(longest), longest))
        place += len(longest) if here else 1
    pieces = set()
    for begin in range(len(low) - PIECE + 1):
        piece = low[begin : begin + PIECE]
        if any(piece in folded(part) for part in inner):
            pieces |= set(range(begin, begin + PIECE))
        for form in map(folded, forms):
            same = next((n for n, (a, b) in enumerate(zip(form, low[begin:], strict=False)) if a != b), None)
            same = min(len(form), len(low) - begin) if same is None else same
            pieces |= set(range(begin, begin + same)) if same >= PIECE else set()
    whole = {place for begin, end, _ in places for place in range(begin, end)}
    run: list[int] = []
    for place in range(len(low) + 1):
        if place in pieces and place not in whole:
            run.append(place)
        else:
            if len(run) >= SHORTEST:
                places.append((run[0], run[-1] + 1, ""))
            run = []
    return sorted(places)


@given(st.lists(FORM, min_size=1, max_size=4), st.lists(FORM, max_size=2), st.data())
def test_as_the_plainest_search(forms: list[str], inner: list[str], data: st.DataObject) -> None:
    """The same places and the same spellings, whatever begins alike, overlaps or is cut off."""
    check_places(Search(), forms, inner, data)


@given(st.lists(FORM, min_size=1, max_size=4), st.lists(FORM, max_size=2), st.data())
def test_spellings_that_are_made_anew(forms: list[str], inner: list[str], data: st.DataObject) -> None:
    """The same where only the first characters of a spelling are kept: what it goes on with is made again."""
    check_places(Search(lambda secret: [secret], kept=10), forms, inner, data)


def check_places(search: Search, forms: list[str], inner: list[str], data: st.DataObject) -> None:
    """Let a search look for forms and pieces in a text that is drawn of them, and compare what it finds."""
    for form in forms:
        search.add(form, folded(form), form)
    for part in inner:
        search.add_part(part)
    variant = st.sampled_from([*forms, *inner])
    cut = st.tuples(variant, st.integers(0, 20), st.integers(0, 40)).map(lambda cut: cut[0][cut[1] : cut[2]])
    text = "".join(data.draw(st.lists(TEXT | variant | cut, max_size=6)))
    assert search.find(text) == plainly(forms, inner, text)


SPELLED = {
    "reversed": KEY[::-1],
    "percent, in part": quote(KEY, safe="="),
    "percent, all": "".join(f"%{ord(sign):02x}" for sign in KEY),
    "percent, twice": quote(quote(KEY, safe=""), safe=""),
    "JSON, plus alone": KEY.replace("+", "\\u002b"),
    "JSON, all": "".join(f"\\u{ord(sign):04X}" for sign in KEY),
    "JSON in JSON": json.dumps(json.dumps(KEY)).replace("/", "\\/"),
    "hexadecimal escapes": "".join(f"\\x{ord(sign):02x}" for sign in KEY),
    "HTML": html.escape(KEY).replace("+", "&#43;").replace("/", "&#x2F;"),
    "lines": f"{KEY[:20]}\n{KEY[20:]}",
    "lines in JSON": f"{KEY[:20]}\\r\\n{KEY[20:]}",
    "NUL between": "\0".join(KEY),
    "UTF-16 in base64": base64.b64encode(KEY.encode("utf-16")).decode(),
    "pairs of digits": base64.b64decode(KEY).hex(":"),
    "dump of the text": KEY.encode().hex(" "),
}


@pytest.mark.parametrize("spelled", SPELLED.values(), ids=SPELLED)
@pytest.mark.parametrize("glue", ["{}", "we got {}, why?", f"{KEY} and {{}}"])
def test_spellings(spelled: str, glue: str) -> None:
    """A secret is replaced however it is escaped, and its token tells that it was repeated."""
    redactor = Redactor(public=["message"])
    token = redactor.remember(KEY, LABEL)
    assert token in redactor.scrub(glue.format(spelled))
    assert spelled[8:24] not in redactor.scrub(glue.format(spelled))
    assert token in str(redactor.reply({"message": glue.format(spelled)}))


SPELLING = st.sampled_from(["plain", "url", "pairs", "dump", "percent"])


@given(st.binary(min_size=21, max_size=40), st.lists(SPELLING, min_size=2, max_size=4))
@example(b"\xf8" + bytes(range(20, 40)), ["url", "dump"])
def test_several_spellings_in_one_text(octets: bytes, order: list[str]) -> None:
    """However many times a text repeats a secret, and whatever is lost with the escapes, each spelling is replaced."""
    secret = base64.b64encode(octets).decode()
    forms = {
        "plain": secret,
        "url": base64.urlsafe_b64encode(octets).decode(),
        "pairs": octets.hex(":"),
        "dump": secret.encode().hex(" "),
        "percent": "".join(f"%{ord(sign):02X}" for sign in secret),
    }
    redactor = Redactor()
    redactor.remember(secret, LABEL)
    text = " ".join(f"xy{forms[name]}zz, key={forms[name]}&more" for name in order)
    shown = redactor.scrub(text)
    assert not [name for name, form in forms.items() if form[3:27] in shown]


@pytest.mark.parametrize(
    "secret", [KEY, f"eyJhbGciOiJub25lIn0.{KEY[:-1]}.{KEY[::-1][1:]}", "0a1b2c3d4e5f" * 4]
)
def test_both_halves(secret: str) -> None:
    """A secret that is spread over several members is replaced in each."""
    redactor = Redactor(public=["id", "name"])
    redactor.remember(secret, LABEL)
    half = len(secret) // 2
    shown = redactor.reply({"id": secret[:half], "name": f"and {secret[half:]}"})
    assert secret[2:14] not in shown["id"]
    assert secret[half + 2 : half + 14] not in shown["name"]
    assert shown["name"].startswith("and <text:")


@pytest.mark.parametrize(
    ("secret", "harmless"),
    [
        ("token-for-7f1d1c4e-0000-4000-8000-0123456789ab", "7f1d1c4e-0000-4000-8000-0123456789ab"),
        ("Token-For-7f1d1c4e-0000-4000-8000-0123456789ab", "7f1d1c4e-0000-4000-8000-0123456789ab"),
        ("account:0123456789abcdef0123456789abcdef:1", "a/0123456789abcdef0123456789abcdef"),
        ("mock-access-token-of-the-second-manager", "token-of-the-second-manager"),
    ],
)
def test_ids_and_words_are_shown(secret: str, harmless: str) -> None:
    """An id that a simple server builds its tokens of is no secret, nor are words."""
    redactor = Redactor(public=["id"])
    redactor.remember(secret, "token")
    assert redactor.reply({"id": harmless}) == {"id": harmless}
    assert secret not in redactor.scrub(secret)


def test_ids_in_what_is_encrypted() -> None:
    """A ciphertext may name its key; the key's id is still shown."""
    redactor = Redactor(["ciphertext"], ["id"], sealed=["ciphertext"])
    redactor.request({"ciphertext": "enc0key0123456789abcdefXYZ0tail"})
    assert redactor.reply({"id": "key0123456789abcdefXYZ"}) == {"id": "key0123456789abcdefXYZ"}


@pytest.mark.parametrize("unit", [KEY[:SHORTEST], KEY[:15], KEY[:20], KEY[11:17], "a", f"{KEY[:8]}\\u0041"])
def test_time_is_linear(unit: str) -> None:
    """A text that repeats the beginning of a secret, or its inside, over and over costs no more than it is long."""
    redactor = Redactor(public=["message"])
    for number in range(50):
        redactor.remember(f"{KEY[:20]}{number:024}", LABEL)

    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        redactor.scrub(text)
        begun = time.process_time()
        redactor.scrub(text)
        return time.process_time() - begun

    small = max(min(cost(50_000) for _ in range(3)), 0.001)
    assert cost(400_000) < 8 * 5 * small


def test_every_spelling_is_found_alone() -> None:
    """Each spelling stands for its secret; the parts of a secret are of its own letters."""
    redactor = Redactor()
    token = redactor.remember(KEY, LABEL)
    assert {redactor.scrub(form) for form in spellings(KEY)} == {token}
    assert parts(KEY) == [KEY, base64.b64decode(KEY).hex()]
