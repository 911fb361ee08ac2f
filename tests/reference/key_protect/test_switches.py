"""Defects and variations: well described, used, and without effect unless switched on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import kms_reference
from kms_reference.defects import ALL_DEFECTS, FUZZ_DEFECTS, SYSTEM_DEFECTS, rules_of
from kms_reference.errors import ServerError
from kms_reference.hpcs_tke.defects import DEFECTS as TKE_DEFECTS
from kms_reference.iks.defects import DEFECTS as IKS_DEFECTS
from kms_reference.key_protect.defects import DEFECTS as KEY_PROTECT_DEFECTS
from kms_reference.key_protect.defects import FUZZ_DEFECTS as KEY_PROTECT_FUZZ_DEFECTS
from kms_reference.key_protect.errors import CODES
from kms_reference.key_protect.sections import SECTION_OF, UMBRELLA, UNAUTHORIZED
from kms_reference.rules import RefusedError, Rules, as_stated, rule
from kms_reference.server import Server
from kms_reference.switches import (
    Change,
    Defect,
    Switch,
    UnknownSwitchError,
    gives,
    instead,
    on_refusal,
    refused_but,
    skipped,
    then,
    unchecked,
)
from kms_reference.variations import VARIATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from conftest import Kms

DEFECTS = SYSTEM_DEFECTS["key_protect"]
ANCHORS = {*SECTION_OF.values(), UNAUTHORIZED, UMBRELLA}
SWITCHES: list[Switch] = [*DEFECTS.values(), *VARIATIONS.values()]
PACKAGE = Path(kms_reference.__file__).parent
LAWFUL = {
    path: path.read_text()
    for system in ("key_protect", "hpcs_tke", "iks")
    for path in sorted((PACKAGE / system).glob("*.py"))
}
SOURCE = "\n".join(LAWFUL.values())


def test_a_name_is_given_once() -> None:
    """No defect hides another one of its name."""
    tables = (KEY_PROTECT_DEFECTS, KEY_PROTECT_FUZZ_DEFECTS, TKE_DEFECTS, IKS_DEFECTS)
    names = [defect.name for table in tables for defect in table]
    assert sorted(names) == sorted(ALL_DEFECTS)


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


def test_every_defect_changes_something() -> None:
    """It replaces rules that a lawful module states, a span that one reads, what is held, or the reply."""
    for defect in ALL_DEFECTS.values():
        parts = (defect.mutate, defect.times, defect.changes, defect.after, defect.counting)
        assert any(parts), defect
        for change in defect.changes:
            assert "defects" not in as_stated(change.rule).__module__, defect
        assert all(f'"{span}"' in SOURCE for span in defect.times), defect


@pytest.mark.parametrize(
    "name", [v.name for v in VARIATIONS.values() if not (v.mutators() or v.times or v.changes)]
)
def test_variation_is_asked_for(name: str) -> None:
    """A variation without a rewriting is asked for by the code."""
    assert re.search(rf'varies\(\s*"{name}"', SOURCE)


def test_lawful_modules_know_no_defect() -> None:
    """What states the rules neither names a defect nor imports one."""
    words = set(re.findall(r'"([a-z0-9-]+)"', SOURCE))
    assert words & {*ALL_DEFECTS} == set()
    for path, text in LAWFUL.items():
        assert not re.search(r"import .*defects|from \S*defects", text), path


def test_names_are_unique() -> None:
    """No two defects and no defect and variation share a name."""
    count = len(FUZZ_DEFECTS) + sum(len(table) for table in SYSTEM_DEFECTS.values())
    assert len({*ALL_DEFECTS, *VARIATIONS}) == count + len(VARIATIONS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"defects": ["rotation-unlimitd"]},
            "unknown defect 'rotation-unlimitd'; did you mean 'rotation-unlimited'?",
        ),
        (
            {"defects": ["tke-counter-stuk"]},
            "unknown defect 'tke-counter-stuk'; did you mean 'tke-counter-stuck'?",
        ),
        ({"defects": ["iks-user-rong"]}, "unknown defect 'iks-user-rong'; did you mean 'iks-user-wrong'?"),
        ({"variations": ["purge-20"]}, "unknown variation 'purge-20'; did you mean 'purge-200'?"),
        ({"defects": ["qqq"]}, "unknown defect 'qqq'; `kms-conformance serve --list` shows all."),
    ],
)
def test_unknown_name_is_refused(options: dict[str, list[str]], says: str) -> None:
    """Whatever the system, an unknown name is one typed error with the nearest name, for servers and for rules."""
    for make in (Server, rules_of):
        with pytest.raises(UnknownSwitchError, match=re.escape(says)) as caught:
            make(**options)
        assert isinstance(caught.value, ServerError)


class Owner:
    """Has rules, and one that may be replaced."""

    def __init__(self, *defects: Defect) -> None:
        self.rules = Rules.of("page", defects, [])
        self.done: list[str] = []

    @rule
    def check(self, word: str) -> str:
        """Refuse one word."""
        if word == "bad":
            raise RefusedError(word)
        self.done.append(word)
        return word


def broken(*changes: Change) -> Owner:
    """Return an owner whose rule is changed."""
    return Owner(Defect("d", "It is broken.", changes=changes))


def test_changes_of_a_rule() -> None:
    """Each kind of change does what its name says, and a lawful owner beside it keeps its rule."""
    assert broken(unchecked(Owner.check, gives=lambda: "let pass")).check("bad") == "let pass"
    assert broken(gives(Owner.check, lambda result, *_: result * 2)).check("good") == "goodgood"
    assert (
        broken(instead(Owner.check, lambda lawful, owner, _: lawful(owner, "other"))).check("bad") == "other"
    )
    assert broken(on_refusal(Owner.check, lambda refusal, *_: str(refusal))).check("bad") == "bad"
    assert broken(skipped(Owner.check)).check("bad") is None
    owner = broken(refused_but(Owner.check, lambda owner, word: owner.done.append(word)))
    with pytest.raises(RefusedError):
        owner.check("bad")
    assert owner.done == ["bad"]
    owner = broken(then(Owner.check, lambda owner, word: owner.done.append(word)))
    assert (owner.check("good"), owner.done) == ("good", ["good", "good"])
    with pytest.raises(RefusedError):
        Owner().check("bad")


def test_changes_hold_where_they_are_meant_to() -> None:
    """`when` and `codes` narrow a change, and several changes of one rule work together."""
    narrow = broken(unchecked(Owner.check, lambda _, word: word == "other"))
    coded = broken(unchecked(Owner.check, codes=("SOME_ERR",)))
    for owner in (narrow, coded):
        with pytest.raises(RefusedError):
            owner.check("bad")
    both = broken(
        unchecked(Owner.check, gives=lambda: "a"), gives(Owner.check, lambda result, *_: result + "b")
    )
    assert both.check("bad") == "ab"


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
