"""Defects and variations: well described, used, and without effect unless switched on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kms_reference.defects import DEFECTS
from kms_reference.key_protect.actions import OTHER_AAD
from kms_reference.key_protect.broken_roads import DEEDS
from kms_reference.key_protect.errors import CODES
from kms_reference.key_protect.sections import SECTION_OF, UMBRELLA, UNAUTHORIZED
from kms_reference.rules import Rules, Switch
from kms_reference.variations import VARIATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from conftest import Kms
    from kms_reference.server import Server

ANCHORS = {*SECTION_OF.values(), UNAUTHORIZED, UMBRELLA}
SWITCHES: list[Switch] = [*DEFECTS.values(), *VARIATIONS.values()]
SOURCE = "\n".join(
    path.read_text()
    for path in sorted((Path(__file__).parents[3] / "kms_reference" / "key_protect").glob("*.py"))
)
# Names of which a part is computed where they are asked for.
COMPUTED = re.compile(
    r"(\w+)-on-(standard|disabled|deleted)-key|(\w+)-in-any-state|(create|import)-(root|standard)-key-ignored"
    r"|rotation-unlimited-for-(imported|generated)"
)
# Names that stand in a table, whose reader asks for each of them.
IN_TABLES = {*OTHER_AAD, *(deed.name for deed in DEEDS)}


def test_every_switch_is_described() -> None:
    """A name in kebab case, one sentence, sections of the page."""
    for switch in SWITCHES:
        assert re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", switch.name), switch
        assert switch.doc.endswith("."), switch
        assert "\n" not in switch.doc, switch
        assert set(switch.sections) <= ANCHORS, switch


def test_enough_switches_and_every_section_has_defects() -> None:
    """Each section of the page has at least one defect of its own."""
    assert len(DEFECTS) >= 150
    assert len(VARIATIONS) >= 25
    touched = {section for defect in DEFECTS.values() for section in defect.sections}
    assert touched == ANCHORS
    assert set(SECTION_OF) <= set(CODES)


def test_every_switch_is_asked_for() -> None:
    """A name without a rewriting is asked for by the code, a span is read by it."""
    for switch in SWITCHES:
        if switch.mutate is not None:
            continue
        if switch.times:
            assert all(f'seconds("{span}"' in SOURCE for span in switch.times), switch
        elif not COMPUTED.fullmatch(switch.name) and switch.name not in IN_TABLES:
            assert re.search(rf'(broken|varies)\(\s*"{switch.name}"', SOURCE), switch


def test_nothing_else_is_asked_for() -> None:
    """The code asks for no switch that is not registered."""
    asked = set(re.findall(r'(?:broken|varies)\(\s*"([^"]+)"', SOURCE))
    assert asked <= {*DEFECTS, *VARIATIONS}
    assert not Rules().broken(next(iter(DEFECTS)))


def probe(kms: Kms) -> list[tuple[int, Any]]:
    """Return a few refusals and successes, without what differs from run to run."""
    root, standard = kms.create(), kms.create_standard()
    replies = [
        kms.get("/keys", headers={"authorization": "Bearer x"}),
        kms.get("/keys", who="outsider"),
        kms.act(standard, "disable"),
        kms.act(root, "wrap", {"plaintext": "?"}),
        kms.act(root, "unwrap"),
        kms.get("/keys?limit=0"),
        kms.get("/keys?limit=1&sort=extractable"),
        kms.get(f"/keys/{root}/policies"),
        kms.act(root, "rotate"),
        kms.act(root, "rotate"),
        kms.delete(f"/keys/{root}"),
        kms.delete(f"/keys/{root}"),
    ]
    return [(reply.status_code, reply.text) for reply in replies]


def scrubbed(seen: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Without ids and dates."""
    return [
        (status, re.sub(r"[0-9a-f-]{32,36}|\d{4}-\d\d-\d\dT[0-9:.]+Z|IBMid-\w+", "_", text))
        for status, text in seen
    ]


@pytest.fixture(scope="module")
def plain(server: Server, http: httpx.Client, client: type[Kms]) -> list[tuple[int, Any]]:
    """Return what the probe sees when nothing is switched on."""
    return scrubbed(probe(client(server, http)))


def test_without_switches_two_servers_agree(serve: Callable[..., Kms], plain: list[tuple[int, Any]]) -> None:
    """The base line of the next test."""
    assert scrubbed(probe(serve())) == plain


@pytest.mark.parametrize(
    "name",
    [
        "status-key-deleted-err",
        "code-key-root-req-err",
        "message-no-body-err",
        "rotation-unlimited",
        "deleted-twice",
        "reasons-missing",
        "error-body-cut",
        "target-missing",
        "list-total-wrong",
        "disable-on-standard-key",
        "every-fifth-refusal-succeeds",
    ],
)
def test_a_defect_shows(serve: Callable[..., Kms], plain: list[tuple[int, Any]], name: str) -> None:
    """Switched on, the same requests get other answers."""
    assert scrubbed(probe(serve(defects=[name]))) != plain
