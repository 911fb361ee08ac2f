"""The list of crypto units, and requests that address no unit."""

import uuid

import pytest

from kms_conformance.api import covers, needs

LOCATION = r"^\[[^\]]*\]\.\[[^\]]*\]\.\[[0-9]+\]\.\[[0-9]+\]$"


@covers("tke-01")
def test_list(tke):
    """A valid token lists all units, for recovery and failover as well, with id, location and serial number."""
    listed = tke.list_units().succeeds(200).shows("hsms.0")
    for kind in tke.KINDS:
        for place in range(len(listed.body.get(kind) or ())):
            for member, pattern in (("hsm_id", "."), ("location", LOCATION), ("serial_number", ".")):
                path = f"{kind}.{place}.{member}"
                listed.shows(path).matches(path, pattern)


@covers("tke-08")
def test_serial_numbers(tke):
    """Each listed serial number is that of the unit's module."""
    for unit in tke.every_unit():
        unit.attributes().succeeds().matches("module", f"^{unit.serial.encode().hex()}")


@covers("tke-05")
def test_unknown_instance(tke):
    """Listing the units of an unknown instance is refused, not answered with an empty list."""
    tke.list_units().succeeds(200)
    tke.unknown_instance().list_units().is_refused("NO_SERVICE_INSTANCES").lacks("hsms")


@covers("tke-06")
def test_unknown_unit(tke):
    """A request for an unknown unit is refused, not answered by another unit."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    unit.hsm_id = uuid.uuid4().hex
    unit.attributes().is_refused_somehow(404, control=attributes).lacks("level")


@covers("tke-06")
@pytest.mark.parametrize("near", ["cut", "longer", "other-end"])
def test_unit_of_a_similar_id(tke, near):
    """A request for an id that differs in its last sign is not answered by the unit that is meant."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    begin, last = unit.hsm_id[:-1], unit.hsm_id[-1]
    taken = {other.hsm_id for other in tke.every_unit()}
    ends = [one for one in "0123456789abcdefg" if one != last and begin + one not in taken]
    unit.hsm_id = {"cut": begin, "longer": f"{begin}{last}0", "other-end": begin + ends[-1]}[near]
    unit.attributes().is_refused_somehow(404, control=attributes).lacks("level")


@covers("tke-01")
@needs(control=True)
def test_units_of_another_instance(tke):
    """The list of one instance holds no unit of another one."""
    mine, others = tke.every_unit(), tke.another_instance().every_unit()
    listed = tke.list_units().succeeds(200)
    for unit in others:
        for kind in tke.KINDS:
            listed.lists_not(f"{kind}.*.hsm_id", unit.hsm_id)
    for unit in mine:
        unit.attributes().succeeds()


@covers("tke-06")
def test_unit_of_unknown_instance(tke):
    """A unit cannot be reached through an unknown instance."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    stranger = unit.seen_by(tke.unknown_instance())
    stranger.attributes().is_refused_somehow(401, 403, 404, control=attributes).lacks("level")


@covers("tke-06")
@needs(control=True)
def test_unit_of_another_instance(tke):
    """A unit cannot be reached through another instance."""
    unit, other = tke.any_unit(), tke.another_instance().any_unit()
    attributes = unit.attributes().succeeds()
    other.attributes().succeeds()
    unit.hsm_id = other.hsm_id
    unit.attributes().is_refused_somehow(404, control=attributes).lacks("level")


@covers("tke-07")
@pytest.mark.parametrize(
    ("body", "raw"),
    [
        (None, b"{"),
        (None, b"request"),
        ({}, None),
        ([], None),
        ({"request": 7}, None),
        ({"request": None}, None),
        ({"requests": "x"}, None),
    ],
    ids=["cut", "no-json", "empty", "list", "number", "null", "other-member"],
)
def test_body_without_request(tke, body, raw):
    """A body that is not JSON, or lacks the string request, is refused, and the unit still answers."""
    unit = tke.any_unit()
    attributes = unit.attributes().succeeds()
    unit.post(body, raw=raw).is_refused_somehow(400, control=attributes)
    unit.attributes().succeeds().shows("attributes", attributes["attributes"])
