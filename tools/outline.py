"""The source pages by piece: digests that tell which sections of a page have changed, and no text of the page itself.

A page is cut where its anchors stand (a page without anchors: where its numbered headings stand). Each piece has a
SHA-256 over its text with blanks collapsed, so that only a change that a reader sees counts. The outlines are data:
``contracts/<id>/outline.json``, written by ``python -m tools.outline FOLDER`` when the contract has been
brought in line with a new edition of a page.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from kms_conformance.contract.contract import Contract, contract_folder, known_contracts, load_contract

NAME = "outline.json"
_ANCHOR = re.compile(r"^\{: #([\w-]+)\}$", re.MULTILINE)
_NUMBERED = re.compile(r"^(\d{1,2}) ?- ?\S", re.MULTILINE)
HEAD = "head"
"""The name of what stands before the first anchor."""
_LEAST_ALIKE = 0.3


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a page: its name (the anchor, or ``number-N``) and the digest of its text."""

    name: str
    sha256: str


def pieces(text: str) -> tuple[Piece, ...]:
    """Cut a page into pieces, in order. A heading belongs to the anchor below it."""
    cuts = [(_heading(text, match.start()), match[1]) for match in _ANCHOR.finditer(text)]
    if not cuts:
        last = 0
        for match in _NUMBERED.finditer(text):
            # A page may count one number twice; its sections are counted here as they stand.
            if int(match[1]) in {last, last + 1}:
                last = int(match[1])
                cuts.append((match.start(), f"number-{len(cuts) + 1}"))
    places = [(0, HEAD), *cuts, (len(text), "")]
    return tuple(Piece(name, _digest(text[start:stop])) for (start, name), (stop, _) in pairwise(places))


def changes(recorded: Sequence[Piece], text: str) -> list[str]:
    """Return a line for each piece of a page that is new, gone, moved or of another text; none when nothing changed."""
    before = {piece.name: piece.sha256 for piece in recorded}
    current = pieces(text)
    now = {piece.name: piece.sha256 for piece in current}
    lines = [f"{name} has another text" for name in now if name in before and now[name] != before[name]]
    lines += [f"{name} is new" for name in now if name not in before]
    lines += [f"{name} is gone" for name in before if name not in now]
    if not lines and [piece.name for piece in current] != [piece.name for piece in recorded]:
        lines.append("the sections stand in another order")
    return lines


def outline(contract_id: str) -> Mapping[str, tuple[Piece, ...]]:
    """Return the stored pieces of a contract's pages by role."""
    document = json.loads((contract_folder(contract_id) / NAME).read_text(encoding="utf-8"))
    return {
        page["role"]: tuple(Piece(piece["name"], piece["sha256"]) for piece in page["pieces"])
        for page in document["pages"]
    }


def find_page(recorded: Sequence[Piece], folder: Path) -> tuple[Path, str] | None:
    """Return the file of a folder that is most like a page, with its text; ``None`` when none is.

    Not by the digest of the file: a page that has changed must still be found.
    """
    digests = {piece.sha256 for piece in recorded}
    best: tuple[float, Path, str] | None = None
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        current = pieces(text)
        alike = sum(piece.sha256 in digests for piece in current) / max(len(current), len(recorded))
        named = sum(piece.name in {piece.name for piece in recorded} for piece in current) / max(
            len(current), len(recorded)
        )
        score = max(alike, named / 2)
        if score >= _LEAST_ALIKE and (best is None or score > best[0]):
            best = (score, path, text)
    return None if best is None else best[1:]


def section_of(contract: Contract, name: str, names: Sequence[str]) -> str:
    """Return the anchor of the section that a piece belongs to, or ``""`` for lists and introductions."""
    anchors = [str(section["anchor"]) for section in contract.about["sections"]]
    if name.startswith("number-"):
        place = int(name.removeprefix("number-"))
        return anchors[place - 1] if place <= len(anchors) else ""
    before = names[: names.index(name) + 1]
    nearest = next((anchor for anchor in reversed(before) if anchor in anchors), "")
    # What stands below a section bears its name; the lists at the end of a page do not.
    return nearest if nearest and name.replace("_", "-").startswith(nearest.replace("_", "-")) else ""


def document_of(contract: Contract, folder: Path) -> dict[str, Any]:
    """Return the outline of a contract's pages as a document; raise :class:`FileNotFoundError` when one is not there."""
    by_digest = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
    pages = []
    for source in contract.about["sources"]:
        path = by_digest.get(source["file_sha256"])
        if path is None:
            raise FileNotFoundError(
                f"no file with SHA-256 {source['file_sha256']} ({contract.id}, {source['role']})"
            )
        text = path.read_text(encoding="utf-8")
        pages.append(
            {
                "role": source["role"],
                "file_sha256": source["file_sha256"],
                "pieces": [{"name": piece.name, "sha256": piece.sha256} for piece in pieces(text)],
            }
        )
    return {"pages": pages}


def _heading(text: str, place: int) -> int:
    """Return where the line above an anchor begins, blank lines skipped."""
    above = text[:place].rstrip()
    return above.rfind("\n") + 1


def _digest(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


def main(folder: str) -> None:
    """Write the outlines of all contracts that have one from a folder that holds their pages."""
    for contract_id in known_contracts():
        path = Path(str(contract_folder(contract_id) / NAME))
        if not path.is_file():
            continue
        document = document_of(load_contract(contract_id), Path(folder))
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
