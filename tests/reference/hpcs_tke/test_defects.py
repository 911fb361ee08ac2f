"""Each named defect is known, documented, hooked in, and visible from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kms_conformance.adapters.hpcs_tke import wire
from kms_conformance.adapters.hpcs_tke.signing import EcAdministrator, Importer, RsaAdministrator
from kms_reference.defects import SYSTEM_DEFECTS
from kms_reference.hpcs_tke.defects.reported import REPORTED_DEFECTS
from kms_reference.hpcs_tke.defects.reported_ceremonies import CEREMONY_DEFECTS
from kms_reference.hpcs_tke.defects.reported_hsm import HSM_DEFECTS
from kms_reference.hpcs_tke.defects.reported_leftovers import LEFTOVER_DEFECTS
from kms_reference.hpcs_tke.defects.reported_quorum import QUORUM_DEFECTS
from kms_reference.hpcs_tke.defects.reported_shortcuts import SHORTCUT_DEFECTS

ONLY_IN_CASES = {
    defect.name
    for defect in (
        *REPORTED_DEFECTS,
        *HSM_DEFECTS,
        *QUORUM_DEFECTS,
        *CEREMONY_DEFECTS,
        *LEFTOVER_DEFECTS,
        *SHORTCUT_DEFECTS,
    )
}
"""They need sequences of their own, which the cases are; the kill matrix proves that each of them shows."""
DEFECTS = {name: defect for name, defect in SYSTEM_DEFECTS["hpcs_tke"].items() if name not in ONLY_IN_CASES}

if TYPE_CHECKING:
    from tests.reference.hpcs_tke.conftest import Context, Unit

PARTS = (b"\x11" * 32, b"\x22" * 32)
POINT = bytes(8) + b"\x01" + bytes(7)
GOOD = {"authorization": "Bearer manager"}
SHARES = 4
"""The defects are tried in so many tests, so that several processes can share them."""
CONTROL_BITS = 0x00300000


def http_answers(context: Context) -> Iterator[Any]:
    """Yield what the service says to callers with and without a role, and to bad requests."""
    path = f"/v1/tke/{context.instance}/hsms"
    for name in (None, "Bearer garbage", "Bearer outsider", "Bearer manager"):
        reply = context.http.get(path, headers={"authorization": name} if name else {})
        body = reply.json() if reply.headers["content-type"] == "application/json" else reply.text
        yield reply.status_code, sorted(body) if isinstance(body, dict) else body
        yield [
            (sorted(entry), type(entry["hsm_id"]), entry["location"].count("."))
            for entry in (body.get("hsms", []) if isinstance(body, dict) else [])
        ]
    yield context.http.get("/v1/tke/nowhere/hsms", headers=GOOD).status_code
    frame = wire.htp_request(2, wire.Header(3).encode(wire.query_request(wire.QUERY_ATTRIBUTES, 3)))
    yield context.http.post(f"{path}/none", headers=GOOD, json={"request": frame}).status_code
    unit = context.units()[0]
    yield unit.http.post(unit.path, headers=GOOD, content=b"{").status_code
    yield unit.post(wire.htp_request(2, wire.Header(3).encode(b"\x30"))).status_code
    yield unit.entry["serial_number"] == unit.query().module[:8].decode()
    yield unit.raw(
        wire.htp_request(2, wire.Header(3).encode(wire.query_request(wire.QUERY_ATTRIBUTES, 3)), length=1)
    ).level
    body = b"".join(
        wire.tlv(4, value) for value in (wire.word(0x00010026), wire.word(3), wire.word(3), wire.word(0))
    )
    yield unit.send(wire.tlv(0x30, body, length_octets=2)).level
    yield sorted(unit.attributes())
    zeroize = wire.admin_request(3, unit.block(wire.ZEROIZE))
    unit.post(wire.htp_request(2, wire.Header(3).encode(zeroize)), "Bearer garbage")
    yield unit.query().counter


def imprint_answers(unit: Unit, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what a unit does before it is operational."""
    yield unit.command(wire.CLEAR_NEW_KEY)
    for person in (*people, people[0]):
        yield unit.add(person)
    yield unit.command(0x7F)
    yield unit.query(wire.QUERY_DEVICE_CERTIFICATE, wire.word(9)).pair
    for values in ({"signature": 9, "revocation": 1}, {"signature": 1, "revocation": 9}, {"signature": 1}):
        yield unit.set(tuple(people[:8]), **values)
        yield unit.state()[1:]


def threshold_answers(unit: Unit, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what a unit with reset threshold control bits does."""
    first, second = people[:2]
    unit.leave_imprint(people, permissions=(unit.attributes()[3] | 0x4F) & ~(CONTROL_BITS | 0x00080000))
    for values in ({"signature": 2, "revocation": 2}, {"signature": 2}, {"revocation": 2}):
        yield unit.set((first,), **values)
        yield unit.attributes()
    for flip in (CONTROL_BITS, 0x8):
        yield unit.set((first,), permissions=unit.attributes()[3] ^ flip)
        yield unit.attributes()
    yield unit.command(wire.ZEROIZE)
    yield unit.command(wire.ZEROIZE, by=(second,))
    yield unit.state()


def operational_answers(context: Context, unit: Unit, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what an operational unit does with signatures, administrators and thresholds."""
    first, second, third = people[:3]
    path = f"/_control/hpcs_tke/instances/{context.instance}/faults"
    unit.add(first)
    context.http.post(path, json={"fault": "module-imprint"})
    yield unit.set((first,), signature=1, revocation=1)
    context.http.post(path, json={"fault": "module-imprint", "clear": True})
    unit.command(wire.ZEROIZE, by=(first,))
    unit.leave_imprint(people, 2)
    yield unit.command(wire.REMOVE_ADMINISTRATOR, second.ski, (first,))
    yield unit.add(third, by=(first, first))
    yield unit.add(third, by=(first, second))
    yield unit.command(wire.REMOVE_ADMINISTRATOR, b"\1" * 32, (first,))
    yield unit.command(wire.REMOVE_ADMINISTRATOR, third.ski, (first,))
    yield unit.query(wire.QUERY_ADMINISTRATORS).output.hex()
    yield unit.command(wire.CLEAR_NEW_KEY)
    yield unit.command(wire.CLEAR_NEW_KEY, by=(people[8],))
    block = unit.block(wire.CLEAR_NEW_KEY)
    yield unit.send(wire.admin_request(3, block, first.sign(block + b"x")))
    for ahead in (0, 5):
        block = unit.block(wire.CLEAR_NEW_KEY, ahead=ahead)
        yield unit.send(wire.admin_request(3, block, first.sign(block)))
    for values in ({"signature": 0}, {"revocation": 0}):
        yield unit.set((first, second), **values)
    yield unit.command(wire.ZEROIZE, by=(first,))


def single_sign_answers(unit: Unit, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what happens around the permission for thresholds of one."""
    by = tuple(people[:2])
    unit.leave_imprint(people, 2, revocation=2, permissions=unit.attributes()[3] & ~0x10)
    for values in ({"signature": 1}, {"revocation": 1}):
        yield unit.set(by, **values)
    unit.command(wire.ZEROIZE, by=by)
    unit.leave_imprint(people)
    yield unit.set(by, permissions=unit.attributes()[3] & ~0x10)


def register_answers(context: Context, unit: Unit, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what the master-key registers do."""
    by = (people[0],)
    unit.leave_imprint(people)
    importer = Importer(unit.command(wire.GENERATE_IMPORTER, wire.word(3), by).output)
    yield unit.send_parts([unit.part(importer.seal(part), people[0]) for part in PARTS]).output.hex()
    pattern = unit.registers().new or b""
    yield unit.command(wire.COMMIT_KEY, bytes(32), by), unit.registers()
    yield unit.command(wire.FINALIZE_KEY, pattern, by), unit.registers()
    unit.command(wire.COMMIT_KEY, pattern, by)
    yield unit.command(wire.FINALIZE_KEY, bytes(32), by), unit.registers()
    yield context.service.crypto_ready(context.instance)
    yield unit.command(wire.FINALIZE_KEY, pattern, by), unit.registers()
    wanted = wire.parameter_file((0x1C, 1, b""), (0x1D, 0, importer.holder_certificate()))
    yield len(unit.command(wire.EXPORT_CURRENT_KEY, wanted, by).output)
    unit.send_parts([unit.part(importer.seal(part), people[0]) for part in PARTS])
    unit.command(wire.ZEROIZE, by=by)
    yield unit.registers(), unit.attributes(), unit.query(wire.QUERY_ADMINISTRATORS).output
    unit.leave_imprint(people)
    unit.load_key(people[0])
    unit.import_key(people[0], *PARTS)
    for command in (wire.CLEAR_NEW_KEY, wire.CLEAR_CURRENT_KEY):
        yield unit.command(command, by=by), unit.registers()
    unit.set(by, permissions=unit.attributes()[3] & ~0xB)
    for command in (wire.RANDOM_KEY, wire.EXPORT_CURRENT_KEY, wire.IMPORT_KEY):
        yield unit.command(command, by=() if command == wire.IMPORT_KEY else by).pair
    unit.command(wire.REMOVE_CONTROL_POINTS, b"\xc0" + bytes(15), by)
    yield unit.command(wire.ADD_CONTROL_POINTS, b"\xc0" + bytes(15), by).pair


def input_answers(unit: Unit, people: list[EcAdministrator], rsa: RsaAdministrator) -> Iterator[Any]:
    """Yield what becomes of odd input, odd signatures, other domains and a third random key."""
    by = (people[0],)
    unit.leave_imprint(people)
    yield unit.command(wire.CLEAR_NEW_KEY, b"x", by).pair, unit.command(wire.COMMIT_KEY, b"", by).pair
    block = unit.block(wire.CLEAR_NEW_KEY)
    yield unit.send(wire.admin_request(3, block, people[0].enclose(b"\x30\x00"))).pair
    yield unit.send(wire.query_request(wire.QUERY_ATTRIBUTES, 4)).level
    for _ in range(3):
        yield unit.command(wire.RANDOM_KEY, by=by).level
    yield unit.add(rsa, by).pair
    block = unit.block(wire.CLEAR_NEW_KEY)
    yield unit.send(wire.admin_request(3, block, rsa.sign(block + b"x"))).pair


def surrounding_answers(context: Context, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what a reader, another instance and a second operational unit see."""
    path = f"/v1/tke/{context.instance}/hsms"
    yield context.http.get(path, headers={"authorization": "Bearer reader"}).status_code
    yield [sorted(entry) for entry in context.http.get(path, headers=GOOD).json()["source_hsms"]]
    foreign = context.units()[0]
    context.service.provision("another")
    other = replace(foreign, instance="another")
    yield context.http.post(other.path, headers=GOOD, json={"request": ""}).status_code
    context.service.provision(context.instance, operational=2)
    units = context.units()
    for unit in units:
        unit.leave_imprint(people)
        unit.command(wire.RANDOM_KEY, by=(people[0],))
        yield context.service.crypto_ready(context.instance)
    unit = units[0]
    for infos in (b"", people[0].sign(b"x")[:40]):
        block = unit.block(wire.ADD_ADMINISTRATOR, b"\x30")
        asked = wire.admin_request(unit.place[1], block, infos)
        yield unit.post(wire.htp_request(unit.place[0], wire.Header(unit.place[1]).encode(asked))).status_code
    for changes in ({"module": bytes(16)}, {"counter": bytes(15) + b"\1"}):
        block = unit.block(wire.CLEAR_NEW_KEY, **changes)
        yield unit.send(wire.admin_request(unit.place[1], block, people[0].sign(block))).level
    block = unit.block(wire.CLEAR_NEW_KEY)
    signed = people[0].sign(block) + people[1].sign(block + b"x")
    yield unit.send(wire.admin_request(unit.place[1], block, signed)).pair


def few_signatures_answers(unit: Unit, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what too few signatures do, each time in a unit that is otherwise in order."""
    first, second, third = people[:3]
    unit.add(first)
    unit.add(second)
    yield unit.set((), signature=2, revocation=2).pair
    unit.command(wire.ZEROIZE, by=(first, second))
    unit.leave_imprint(people, 2, revocation=2)
    unit.add(third, (first, second))
    for command in (wire.RANDOM_KEY, wire.CLEAR_NEW_KEY):
        yield unit.command(command).pair
    importer = Importer(unit.command(wire.GENERATE_IMPORTER, wire.word(3), (first,)).output)
    yield unit.send_parts([unit.part(importer.seal(part)) for part in PARTS]).pair
    unit.send_parts([unit.part(importer.seal(part), first) for part in PARTS])
    pattern = unit.registers().new or b""
    yield unit.command(wire.COMMIT_KEY, pattern, (first,)).pair
    yield unit.command(wire.ADD_CONTROL_POINTS, bytes(16), (first,)).pair
    yield unit.command(wire.REMOVE_ADMINISTRATOR, third.ski, (first,)).pair
    unit.command(wire.RANDOM_KEY, by=(first,))
    wanted = wire.parameter_file((0x1C, 1, b""), (0x1D, 0, importer.holder_certificate()))
    yield unit.command(wire.EXPORT_CURRENT_KEY, wanted, (first,)).pair
    yield unit.command(wire.ZEROIZE).pair, unit.registers().new == pattern
    yield unit.set((first,), signature=1).pair
    unit.set((first, second), revocation=1)
    unit.add(third, (first, second))
    yield unit.command(wire.REMOVE_ADMINISTRATOR, third.ski, (first,)).pair


def guard_answers(unit: Unit, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what permissions and control bits guard, what zeroizing brings back, and how keys move."""
    by = (people[0],)
    yield unit.command(wire.ADD_CONTROL_POINTS, bytes(16)).pair
    unit.leave_imprint(people)
    permissions = unit.attributes()[3]
    importer = Importer(unit.command(wire.GENERATE_IMPORTER, wire.word(3), by).output)
    yield unit.send_parts([unit.part(b"\x30\x00", people[0]) for _ in PARTS]).pair
    unit.send_parts([unit.part(importer.seal(part), people[0]) for part in (*PARTS, b"\x33" * 32)])
    pattern = unit.registers().new or b""
    yield pattern
    unit.command(wire.COMMIT_KEY, pattern, by)
    unit.command(wire.CLEAR_NEW_KEY, by=by)
    yield unit.registers().committed, unit.command(wire.FINALIZE_KEY, pattern, by).pair
    unit.set(by, permissions=permissions & ~0x4)
    yield unit.send_parts([unit.part(importer.seal(PARTS[0]), people[0])]).pair
    unit.set(by, permissions=permissions)
    wanted = wire.parameter_file((0x1C, 1, b""), (0x1D, 0, importer.holder_certificate()))
    unit.send_parts([unit.part(importer.seal(part), people[0]) for part in PARTS])
    yield unit.command(wire.EXPORT_NEW_KEY, wanted, by).level
    unit.set(by, permissions=permissions & ~0x00030000)
    yield unit.set(by, permissions=(permissions & ~0x00030000) ^ 0x1).pair
    yield unit.set(by, permissions=permissions).pair
    unit.command(wire.ZEROIZE, by=by)
    yield unit.attributes()


def effects_answers(context: Context, people: list[EcAdministrator]) -> Iterator[Any]:
    """Yield what commands, done and refused, leave of two units that hold everything."""
    context.service.provision(context.instance, operational=2)
    units, by = context.units(), (people[0], people[1])
    for unit in units:
        unit.leave_imprint(people, 2, revocation=2)
        unit.add(people[2], by)
        unit.command(wire.RANDOM_KEY, by=by)
        unit.command(wire.REMOVE_CONTROL_POINTS, POINT, by)
        unit.import_key(people[0], *PARTS)
    unit, other = units
    importer = Importer(unit.command(wire.GENERATE_IMPORTER, wire.word(3), by).output)

    def held() -> Any:
        return [
            (
                each.attributes(),
                len(each.query(wire.QUERY_ADMINISTRATORS).output),
                each.query(wire.QUERY_CONTROL_POINTS).output,
                [bool(pattern) for pattern in (each.registers().current, each.registers().new)],
                each.registers().committed,
            )
            for each in (unit, other)
        ]

    yield held()
    yield unit.add(people[0], by).pair, held()
    yield unit.command(wire.REMOVE_ADMINISTRATOR, b"\1" * 32, by).pair, held()
    yield unit.command(wire.ZEROIZE).pair, held()
    yield unit.set(by, signature=9).pair
    unit.command(wire.CLEAR_NEW_KEY, by=by)
    yield unit.send_parts([unit.part(importer.seal(part), people[0]) for part in PARTS]).level, held()
    wanted = wire.parameter_file((0x1C, 1, b""), (0x1D, 0, importer.holder_certificate()))
    for command in (wire.EXPORT_NEW_KEY, wire.EXPORT_CURRENT_KEY):
        yield unit.command(command, wanted, by).level, held()
    yield unit.set(by, permissions=unit.attributes()[3] & ~0x8).level, held()
    yield unit.command(wire.COMMIT_KEY, unit.registers().new or b"", by).level, held()
    yield unit.command(wire.FINALIZE_KEY, unit.registers().new or b"", by).level, held()
    yield unit.command(wire.ADD_CONTROL_POINTS, POINT, by).level, held()
    unit.command(wire.REMOVE_CONTROL_POINTS, POINT, by)
    yield unit.add(people[3], by).level, held()
    yield unit.command(wire.REMOVE_ADMINISTRATOR, people[3].ski, by).level, held()
    yield unit.command(wire.CLEAR_CURRENT_KEY, by=by).level, held()
    yield unit.command(wire.ZEROIZE, by=by).level, held()


def answers_of(
    parts: list[Callable[[Context], Iterator[Any]]], make_context: Callable[..., Context], *defects: str
) -> list[Any]:
    """Run parts of the probe, each on fresh units; an error that ends one is kept as an answer."""
    heard: list[Any] = []
    for part in parts:
        context = make_context(*defects)
        try:
            heard.extend(part(context))
        except Exception as stopped:  # noqa: BLE001 - a broken endpoint may stop a part in any way
            heard.append(type(stopped).__name__)
        finally:
            context.http.close()
    return heard


@pytest.fixture(scope="session")
def parts(administrators: list[EcAdministrator]) -> list[Callable[[Context], Iterator[Any]]]:
    """Return the parts of the probe, each of which starts from a fresh service."""
    rsa = RsaAdministrator("administrator RSA")
    return [
        http_answers,
        lambda context: imprint_answers(context.units()[0], administrators),
        lambda context: threshold_answers(context.units()[0], administrators),
        lambda context: operational_answers(context, context.units()[0], administrators),
        lambda context: single_sign_answers(context.units()[0], administrators),
        lambda context: register_answers(context, context.units()[0], administrators),
        lambda context: input_answers(context.units()[0], administrators, rsa),
        lambda context: surrounding_answers(context, administrators),
        lambda context: few_signatures_answers(context.units()[0], administrators),
        lambda context: guard_answers(context.units()[0], administrators),
        lambda context: effects_answers(context, administrators),
    ]


@pytest.mark.parametrize("share", range(SHARES))
def test_every_defect_shows(
    share: int, parts: list[Callable[[Context], Iterator[Any]]], make_context: Callable[..., Context]
) -> None:
    """Each defect changes an answer of the probe."""
    # Part by part: most defects show in an early one, and the others need not be run.
    plain = [answers_of([part], make_context) for part in parts]
    words = [word for heard in plain for word in heard if isinstance(word, str)]
    assert not [word for word in words if word.endswith(("Error", "Exception"))]
    defects = sorted(DEFECTS)[share::SHARES]
    assert defects
    pairs = list(zip(parts, plain, strict=True))
    assert [
        defect
        for defect in defects
        # Defects of effects show in the last part.
        if all(
            answers_of([part], make_context, defect) == heard
            for part, heard in (pairs[::-1] if "effects" in DEFECTS[defect].sections[0] else pairs)
        )
    ] == []


def test_the_probe_repeats(
    parts: list[Callable[[Context], Iterator[Any]]], make_context: Callable[..., Context]
) -> None:
    """Without a defect two probes get the same answers."""
    assert answers_of(parts, make_context) == answers_of(parts, make_context)


def test_registry() -> None:
    """Names of this system, one line each, sections, and a change."""
    assert len(DEFECTS) >= 40
    for name, defect in DEFECTS.items():
        assert name == defect.name
        assert name.startswith("tke-")
        assert "\n" not in defect.doc
        assert defect.doc.endswith(".")
        assert defect.sections
        assert defect.changes
