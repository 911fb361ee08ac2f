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
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import quote, unquote

from kms_conformance.redaction.clear_texts import ClearTexts

SHORTEST = 6
"""Characters that a secret must have to be looked for inside of other text."""
PIECE = 16
"""Characters of a secret that are too much to be shown on their own."""
# A text is looked at in every second place. One of the first two places of a spelling meets such a place; and of ten
# places in a row where text and secret agree, one is a second place of the text and a fifth one of the secret. The other way
# round would be faster by a microsecond a text, and take twice the memory for each secret. Sixteen characters have no more
# than ten places where seven begin; of six, a text of hexadecimal digits would hold some by chance.
_STRIDE, _DENSITY, _LOOK = 2, 5, 7
_KEPT = 64
"""Characters of a spelling that are kept: whoever has met so many makes the spelling anew from its secret."""
_BEFORE, _FROM = _STRIDE * _DENSITY, _STRIDE * _DENSITY + _LOOK
"""Characters before and from a place met on that tell whether a piece stands there; the next place met is as far away at most."""
_MOST_AT_HAND = 32
_BEGINS = -1
"""A spelling begins with what is met; -2: with the character before it. Other numbers are places inside of secrets."""
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
    """Finds known spellings in texts. To be added to under a lock; finding needs none.

    ``spell`` makes the spellings of a secret, of which ``kept`` characters are held here.
    """

    def __init__(self, spell: Callable[[str], Iterable[str]] | None = None, kept: int = _KEPT) -> None:
        self._spell, self._kept = spell or spellings, kept
        self._tokens: dict[str, str] = {}
        # The start of a spelling that is longer than what is kept -> the secrets that are spelled so, and their tokens.
        self._longer: dict[str, tuple[tuple[str, str], ...]] = {}
        # The first characters of every spelling -> what is kept of those that begin so, sorted; mostly it is one.
        self._starts: dict[str, tuple[str, ...]] = {}
        # For the look at a text: what stands in some places of spellings and secrets, and in which; most in one.
        self._met: dict[str, int | tuple[int, ...]] = {}
        # The same without the places: a set is asked twice as fast, by nearly every text of a run.
        self._sparse: set[str] = set()
        # The secrets that are looked for in pieces, and at which number the places of each begin.
        self._parts: list[str] = []
        self._begins: list[int] = [0]
        self._short: tuple[str, ...] = ()
        self._longest = 0
        self._at_hand: dict[str, list[str]] = {}
        self.clear = ClearTexts(_LOOK, _folded)

    def copy(self) -> Search:
        """Return another search for the same, which is added to apart from this one."""
        other = Search(self._spell, self._kept)
        other._tokens, other._longer, other._starts = {**self._tokens}, {**self._longer}, {**self._starts}
        other._met, other._sparse = {**self._met}, {*self._sparse}
        other._short, other._longest = self._short, self._longest
        other._parts, other._begins = [*self._parts], [*self._begins]
        return other

    def add(self, form: str, token: str, secret: str = "") -> None:
        """Look for a spelling, and for pieces of it from its start; a long one is made again from its ``secret``."""
        low = _folded(form)
        start = low[: self._kept] if secret else low
        is_known = start in self._tokens or start in self._longer
        # First what is asked for last: whoever is searching at this moment finds all of it or nothing.
        if len(start) == len(low):
            self._tokens[low] = max(token, self._tokens.get(low, token))
        elif (secret, token) not in self._longer.get(start, ()):
            self._longer[start] = (*self._longer.get(start, ()), (secret, token))
        self._longest = max(self._longest, len(start))
        if is_known:
            return
        starting = [*self._starts.get(low[:SHORTEST], ())]
        insort(starting, start)
        self._starts[low[:SHORTEST]] = tuple(starting)
        if len(low) < _LOOK + _STRIDE - 1:
            self._short = (*self._short, low)
            self.clear.forget_all()
        else:
            self._meet([(low[place : place + _LOOK], _BEGINS - place) for place in range(_STRIDE)])

    def add_part(self, part: str) -> None:
        """Look for pieces from anywhere in a text."""
        low = _folded(part)
        if len(low) < PIECE:
            return
        begin = self._begins[-1]
        self._parts.append(low)
        self._begins.append(begin + len(low))
        self._meet(
            [
                (low[place : place + _LOOK], begin + place)
                for place in range(0, len(low) - _LOOK + 1, _DENSITY)
            ]
        )

    def _meet(self, grams: Iterable[tuple[str, int]]) -> None:
        """Have the look at a text meet these characters, each where its number says."""
        unknown = []
        for gram, number in grams:
            known = self._met.get(gram)
            if known is None:
                unknown.append(gram)
                self._met[gram] = number
                continue
            numbers = known if isinstance(known, tuple) else (known,)
            # What stands twice with the same around it is as good as once: a secret may repeat itself.
            if number not in numbers and (
                number < 0
                or self._around(number) not in [self._around(other) for other in numbers if other >= 0]
            ):
                self._met[gram] = (*numbers, number)
        self._sparse.update(unknown)
        self.clear.forget(unknown)

    def _around(self, number: int) -> tuple[str, str]:
        """Return what stands before a place of a secret and from there on, as far as a piece may reach."""
        part = bisect_right(self._begins, number) - 1
        low, place = self._parts[part], number - self._begins[part]
        return low[max(place - _BEFORE, 0) : place], low[place : place + _FROM]

    def clear_text(self, text: str) -> str | None:
        """Return a text of which it is known, without a search, that nothing stands in it; ``None`` for another one."""
        return text if len(text) < SHORTEST else self.clear.get(text)

    def keep_clear(self, text: str) -> None:
        """Remember of a text that nothing was found in it. To be called under the lock."""
        if not self._holds_short(_folded(text)):
            self.clear.keep(text, self._met.__contains__)

    def find(self, text: str) -> list[Place]:
        """Return begin, end and token of each spelling in a text; of several at one place, the longest.

        What is left is searched for pieces of a spelling, which have the token ``""``.
        """
        if len(text) < SHORTEST or not self._starts:
            return []
        low = _folded(text)
        if not self._may_hold(low):
            return []
        begins, inside = self._seen(low)
        wholes: list[Place] = []
        pieces: list[tuple[int, int]] = []
        for place in sorted(begins):
            if not wholes or place >= wholes[-1][1]:
                size, token = self._whole(low, place)
                wholes += [(place, place + size, token)] if size else []
            same = self._same(low, place)
            if same >= PIECE:
                pieces.append((place, place + same))
        return _filled(wholes, pieces + self._pieces(low, inside, wholes))

    def are_clear(self, texts: Iterable[str]) -> bool:
        """Tell whether nothing that is looked for stands in any of the texts, by one look at all of them."""
        joined = _APART.join(texts)
        return not self._may_hold(_folded(joined)) and next(plainer(joined), None) is None

    def _may_hold(self, low: str) -> bool:
        """Tell at a first look, in the hottest loop of a run, whether anything may stand in a text."""
        places = range(0, len(low) - _LOOK + 1, _STRIDE)
        if not self._sparse.isdisjoint([low[place : place + _LOOK] for place in places]):
            return True
        return self._holds_short(low)

    def _holds_short(self, low: str) -> bool:
        return bool(self._short) and any(form in low for form in self._short)

    def _seen(self, low: str) -> tuple[set[int], list[tuple[int, int]]]:
        """Return the places where a spelling may begin, and those that are met inside of a secret too, with their numbers."""
        begins, inside = set(), []
        for form in self._short:
            place = low.find(form)
            while place >= 0:
                begins.add(place)
                place = low.find(form, place + 1)
        sparse = self._sparse
        met = [
            (place, gram)
            for place in range(0, len(low) - _LOOK + 1, _STRIDE)
            if (gram := low[place : place + _LOOK]) in sparse
        ]
        for place, gram in met:
            known = self._met[gram]
            for number in known if isinstance(known, tuple) else (known,):
                if number < 0:
                    begins.add(place + number - _BEGINS)
                else:
                    inside.append((place, number))
        begins.discard(-1)
        return begins, inside

    def _pieces(
        self, low: str, inside: Iterable[tuple[int, int]], wholes: Sequence[Place]
    ) -> list[tuple[int, int]]:
        """Return begin and end of what stands around these places in a secret too, but for what lies within a spelling."""
        starts, pieces = [begin for begin, _, _ in wholes], []
        for place, number in inside:
            nearest = bisect_right(starts, place - _BEFORE) - 1
            if nearest >= 0 and place + _FROM <= wholes[nearest][1]:
                continue
            before, after = self._around(number)
            ahead = _alike(after, low[place : place + _FROM])
            back = _alike(before[::-1], low[max(place - len(before), 0) : place][::-1])
            if back + ahead >= PIECE:
                pieces.append((place - back, place + ahead))
        return pieces

    def _whole(self, low: str, place: int) -> tuple[int, str]:
        """Return the size of the longest spelling that stands at a place, and its token; 0 where none does."""
        starting = self._starts.get(low[place : place + SHORTEST], ())
        text = low[place : place + self._longest]
        # A spelling that the text begins with sorts before the text; what sorts between the two is longer than it.
        while number := bisect_right(starting, text):
            nearest = starting[number - 1]
            same = _alike(nearest, text)
            if same == len(nearest):
                wholes = [
                    (len(form), token)
                    for form, token in self._spelled(nearest)
                    if low.startswith(form, place)
                ]
                if wholes:
                    return max(wholes)
                same -= 1
            text = text[:same]
        return 0, ""

    def _same(self, low: str, place: int) -> int:
        """Return how many characters from a place on are the start of a spelling."""
        starting = self._starts.get(low[place : place + SHORTEST], ())
        if not starting:
            return 0
        text = low[place : place + self._longest]
        number = bisect_right(starting, text)
        nearest = starting[max(number - 1, 0) : number + 1]
        same = max(_alike(start, text) for start in nearest)
        longer = (form for start in nearest if same >= len(start) for form, _ in self._spelled(start))
        return max([same, *(_alike(form, low[place : place + len(form)]) for form in longer)])

    def _spelled(self, start: str) -> Iterator[tuple[str, str]]:
        """Yield the spellings of which this is the start that is kept, or which it is, each with its token."""
        if start in self._tokens:
            yield start, self._tokens[start]
        for secret, token in self._longer.get(start, ()):
            forms = self._at_hand.get(secret)
            if forms is None:
                if len(self._at_hand) >= _MOST_AT_HAND:
                    self._at_hand = {}
                forms = [low for form in self._spell(secret) if len(low := _folded(form)) > self._kept]
                self._at_hand[secret] = forms
            yield from ((form, token) for form in forms if form.startswith(start))


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
