"""The list of crypto units, and requests that reach none."""

import uuid

import pytest

from kms_conformance.api import covers

LOCATION = r"^\[[^\]]*\]\.\[[^\]]*\]\.\[[0-9]+\]\.\[[0-9]+\]$"


@covers("tke-01")
def test_list(tke):
    """A valid token lists the units with id, location and serial number."""
    listed = tke.list_units().succeeds(200)
    for member, pattern in (("hsm_id", "."), ("location", LOCATION), ("serial_number", ".")):
        listed.shows(f"hsms.0.{member}").matches(f"hsms.0.{member}", pattern)


@covers("tke-05")
def test_unknown_instance(tke):
    """An instance that is not there is not an empty list."""
    tke.list_units().succeeds(200)
    tke.unknown_instance().list_units().is_refused("NO_SERVICE_INSTANCES").lacks("hsms")


@covers("tke-06")
def test_unknown_unit(tke):
    """A request for a unit that the instance has not is not answered by another one."""
    unit = tke.any_unit()
    known = unit.attributes().succeeds()
    unit.hsm_id = uuid.uuid4().hex
    unit.attributes().is_refused_somehow(404, control=known).lacks("level")


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
    """A body that is not JSON, or has no string called request, is refused, and the unit goes on."""
    unit = tke.any_unit()
    known = unit.attributes().succeeds()
    unit.post(body, raw=raw).is_refused_somehow(400, control=known)
    unit.attributes().succeeds().shows("attributes", known["attributes"])
