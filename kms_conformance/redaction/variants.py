"""How a careless server may spell a secret, and where such spellings stand in a text.

The search knows nothing of what a secret is; ``redaction`` decides that. Its time is linear in the text, however many
secrets are known and whatever the text repeats.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

from kms_conformance.redaction.clear_texts import ClearTexts

SHORTEST = 6
"""Characters that a secret must have to be looked for inside of other text."""
PIECE = 16
"""Characters of a secret that are too much to be shown on their own."""
_STEP = PIECE - SHORTEST + 1
# A text is first looked at in every second place. One of the first two places of a spelling meets such a place; and of ten
# places in a row where text and secret agree, one is a second place of the text and a fifth one of the secret. The other way
# round would be faster by a microsecond a text, and take twice the memory for each secret. Sixteen characters have no more
# than ten places where seven begin; of six, a text of hexadecimal digits would hold some by chance.
_STRIDE, _DENSITY, _LOOK = 2, 5, 7
# Both alphabets of base64, and both cases of hexadecimal digits, look the same to the search.
_SAME = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ-_", "abcdefghijklmnopqrstuvwxyz+/")
_STANDARD = str.maketrans("-_", "+/")
# Ids are no secrets, even where a token or a handle is made of them: one standing elsewhere is no piece of a secret.
_ID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|(?<![^\W_])[0-9a-fA-F]{32}(?![^\W_])"
_PUBLIC = re.compile(_ID)
_SOLID = re.compile(r"[A-Za-z0-9+/=_.-]+")
_WORDS = re.compile(r"[A-Za-z0-9+/=]+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_FEW = 7
_PAIRS = re.compile(r"(?:[0-9a-fA-F]{2}[\s:-]+){7}")
_BLANK = re.compile(r"\s+")
_BLANKS = {"n": "\n", "r": "\r", "t": "\t"}
_BETWEEN = re.compile(r"[\s:-]+")
_APART = "\x01"
"""Parts texts that are looked at together: what seems to stand in two of them is looked at again, text by text."""
_ROUNDS = 3
_VARIED = 6

Place = tuple[int, int, str]


class Search:
    """Finds known spellings in texts. To be added to under a lock; finding needs none."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        # The first characters of every spelling -> the spellings that begin so, sorted; mostly it is one.
        self._starts: dict[str, tuple[str, ...]] = {}
        # Characters from inside a secret -> the texts, and the places in them, where they stand.
        self._inner: dict[str, tuple[tuple[str, int], ...]] = {}
        # For the first look: what stands in some places of spellings and secrets, and spellings too short for that.
        self._sparse: set[str] = set()
        self._short: tuple[str, ...] = ()
        self._longest = 0
        self.clear = ClearTexts(SHORTEST, _folded)

    def copy(self) -> Search:
        """Return another search for the same, which is added to apart from this one."""
        other = Search()
        other._tokens, other._starts = {**self._tokens}, {**self._starts}
        other._inner, other._sparse = {**self._inner}, {*self._sparse}
        other._short, other._longest = self._short, self._longest
        return other

    def add(self, form: str, token: str) -> None:
        """Look for a spelling, and for pieces of it from its start."""
        low = _folded(form)
        earlier = self._tokens.get(low)
        # First what is asked for last: whoever is searching at this moment finds all of it or nothing.
        self._tokens[low] = max(token, earlier or token)
        self._longest = max(self._longest, len(low))
        if earlier is not None:
            return
        gram = low[:SHORTEST]
        is_known = self._is_looked_for(gram)
        starting = [*self._starts.get(gram, ())]
        insort(starting, low)
        self._starts[gram] = tuple(starting)
        if len(low) < _LOOK + _STRIDE - 1:
            self._short = (*self._short, low)
        else:
            self._sparse.update(low[place : place + _LOOK] for place in range(_STRIDE))
        if not is_known:
            self.clear.forget((gram,))

    def add_part(self, part: str) -> None:
        """Look for pieces from anywhere in a text."""
        low = _folded(part)
        unknown = []
        # Each sixteen characters in a row hold six that begin at such a place.
        for place in range(0, len(low) - SHORTEST + 1, _STEP):
            gram = low[place : place + SHORTEST]
            if not self._is_looked_for(gram):
                unknown.append(gram)
            others = self._inner.get(gram, ())
            if not others or _around(low, place) not in [_around(*other) for other in others]:
                self._inner[gram] = (*others, (low, place))
        self.clear.forget(unknown)
        if len(low) >= PIECE:
            self._sparse.update(
                low[place : place + _LOOK] for place in range(0, len(low) - _LOOK + 1, _DENSITY)
            )

    def _is_looked_for(self, gram: str) -> bool:
        return gram in self._starts or gram in self._inner

    def clear_text(self, text: str) -> str | None:
        """Return a text of which it is known, without a search, that nothing stands in it; ``None`` for another one."""
        return text if len(text) < SHORTEST else self.clear.get(text)

    def keep_clear(self, text: str) -> None:
        """Remember of a text that nothing was found in it. To be called under the lock."""
        self.clear.keep(text, self._is_looked_for)

    def find(self, text: str) -> list[Place]:
        """Return begin, end and token of each spelling in a text; of several at one place, the longest.

        What is left is searched for pieces of a spelling, which have the token ``""``.
        """
        if len(text) < SHORTEST or not self._starts:
            return []
        low, starts, inner = _folded(text), self._starts, self._inner
        if not self._may_hold(low):
            return []
        hits = [
            place
            for place in self._near(low)
            if (gram := low[place : place + SHORTEST]) in starts or gram in inner
        ]
        if not hits:
            return []
        wholes: list[Place] = []
        for place in hits:
            if not wholes or place >= wholes[-1][1]:
                form = self._whole(low, place)
                wholes += [(place, place + len(form), self._tokens[form])] if form else []
        return _filled(wholes, [piece for place in hits for piece in self._pieces(low, place)])

    def are_clear(self, texts: Iterable[str]) -> bool:
        """Tell whether nothing that is looked for stands in any of the texts, by one look at all of them."""
        joined = _APART.join(texts)
        return not self._may_hold(_folded(joined)) and next(plainer(joined), None) is None

    def _may_hold(self, low: str) -> bool:
        """Tell at a first look, in the hottest loop of a run, whether anything may stand in a text."""
        places = range(0, len(low) - _LOOK + 1, _STRIDE)
        if not self._sparse.isdisjoint([low[place : place + _LOOK] for place in places]):
            return True
        return bool(self._short) and any(form in low for form in self._short)

    def _near(self, low: str) -> Iterable[int]:
        """Return the places where a spelling or a piece may begin to be seen: those near what the first look has met.

        Each sixteen characters of a piece hold a place of the first look and one where the second look would meet it.
        """
        last = len(low) - SHORTEST + 1
        if any(form in low for form in self._short):
            return range(last)
        sparse, reach = self._sparse, PIECE - SHORTEST
        near: list[int] = []
        end = 0
        for met in range(0, len(low) - _LOOK + 1, _STRIDE):
            if low[met : met + _LOOK] in sparse:
                begin, end = max(met - reach, end), min(met + reach + 1, last)
                near += range(begin, end)
        return near

    def _whole(self, low: str, place: int) -> str:
        """Return the longest spelling that stands at a place, or ``""``."""
        starting = self._starts.get(low[place : place + SHORTEST], ())
        text = low[place : place + self._longest]
        # A spelling that the text begins with sorts before the text; what sorts between the two is longer than it.
        while number := bisect_right(starting, text):
            nearest = starting[number - 1]
            same = _alike(nearest, text)
            if same == len(nearest):
                return nearest
            text = text[:same]
        return ""

    def _pieces(self, low: str, place: int) -> Iterator[tuple[int, int]]:
        """Yield begin and end of pieces that hold a place: from the start of a spelling, and from inside of one."""
        gram = low[place : place + SHORTEST]
        starting = self._starts.get(gram, ())
        if starting:
            text = low[place : place + self._longest]
            number = bisect_right(starting, text)
            same = max(_alike(form, text) for form in starting[max(number - 1, 0) : number + 1])
            if same >= PIECE:
                yield place, place + same
        for before, after in (_around(*other) for other in self._inner.get(gram, ())):
            ahead = _alike(after, low[place : place + PIECE])
            back = _alike(before[::-1], low[max(place - len(before), 0) : place][::-1])
            if back + ahead >= PIECE:
                yield place - back, place + ahead


def _around(low: str, place: int) -> tuple[str, str]:
    """Return what stands before a place of a secret and from there on, as far as a piece may reach."""
    return low[max(place - _STEP + 1, 0) : place], low[place : place + PIECE]


def _filled(wholes: list[Place], pieces: list[tuple[int, int]]) -> list[Place]:
    """Return spellings and, between them, the pieces, each stretch of them as one."""
    joined: list[list[int]] = []
    for begin, end in sorted(pieces):
        if joined and begin <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    spans, waiting = list(wholes), iter([*wholes, (1 << 62, 1 << 62, "")])
    whole = next(waiting)
    for begin, end in joined:
        while whole[1] <= begin:
            whole = next(waiting)
        while begin < end:
            stop = min(end, whole[0])
            if stop - begin >= SHORTEST:
                spans.append((begin, stop, ""))
            if whole[0] >= end:
                break
            begin = max(begin, whole[1])  # noqa: PLW2901 - the rest of this stretch
            whole = next(waiting) if whole[1] <= end else whole
    return sorted(spans)


def _alike(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their starts."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _folded(text: str) -> str:
    """Return a text of the same length in which what looks the same to the search is the same."""
    if text.isascii():
        return text.lower().replace("-", "+").replace("_", "/")
    return text.translate(_SAME)


def spellings(value: str) -> set[str]:
    """Return the spellings in which a careless server may repeat a secret; each is at least six characters long."""
    plain = value.encode("utf-8", "surrogatepass")
    wide = value.encode("utf-16-le", "surrogatepass")
    forms = {
        value,
        value[::-1],
        quote(plain, safe=""),
        plain.hex(),
        *_inside_base64(plain),
        *_inside_base64(wide),
    }
    raw = _decoded(value)
    if len(raw) >= SHORTEST:
        forms |= {value.rstrip("="), raw.hex(), *_inside_base64(raw)}
        if raw.isascii() and raw.decode().isprintable():
            forms.add(raw.decode())
    return {form for form in forms if len(form) >= SHORTEST}


def parts(value: str) -> list[str]:
    """Return the parts of a secret of which a piece gives the secret away, wherever it stands: no words and no ids."""
    random = any(sign.isdigit() for sign in value) and value.lower() != value != value.upper()
    solid = _SOLID if random else _WORDS
    solid_parts = [part for text in _PUBLIC.split(value) for part in solid.findall(text)]
    raw = _decoded(value) if solid_parts == [value] else b""
    return [part for part in (*solid_parts, raw.hex()) if len(part) >= PIECE and len(set(part)) >= _VARIED]


def plainer(text: str) -> Iterator[tuple[str, int]]:
    """Yield a text without its escapes, and without what parts its characters, where it has such.

    Each comes with how long a secret must be that is found in it: words that were driven together may spell anything.
    """
    bare, rounds = text, 0
    while rounds < _ROUNDS and ("%" in bare or "\\" in bare or "&" in bare or "\0" in bare):
        bare = html.unescape(_ESCAPE.sub(_unescaped, unquote(bare))).replace("\0", "")
        rounds += 1
    if bare != text:
        yield bare, SHORTEST
    if "\n" in bare:
        yield _BLANK.sub("", bare), PIECE
    if (bare.count(":") >= _FEW or bare.count(" ") >= _FEW or bare.count("-") >= _FEW) and _PAIRS.search(
        bare
    ):
        yield _BETWEEN.sub("", bare), PIECE


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    return chr(int(digits, 16)) if digits else _BLANKS.get(match[3], match[3])


def _decoded(value: str) -> bytes:
    """Return the bytes that a text is in base64, ``b""`` where it is not."""
    try:
        return base64.b64decode(value.translate(_STANDARD) + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _inside_base64(raw: bytes) -> Iterator[str]:
    """Yield what is left of the bytes in base64 when other bytes stand before and behind them."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw).decode()
        whole = (before + len(raw)) * 8 // 6
        yield text[(0, 2, 3)[before] : whole]
