"""Hostile headers, paths and names: a key is found only by its own name, in its own instance and key ring."""

import pytest

from kms_conformance.api import covers, raw_request

COMMON = [
    "host: {host}",
    "authorization: Bearer {token}",
    "bluemix-instance: {instance}",
    "connection: close",
]


@covers("security-path-confusion")
@pytest.mark.parametrize("tail", ["%2Fmetadata", "%00", "%20", "%2e%2e%2f", ";x=1", "%252Fmetadata"])
def test_key_id_with_a_tail(kms, tail):
    """A key id followed by escaped characters addresses no key."""
    key = kms.create_root_key()
    control = kms.get_key(key).succeeds(200)
    answer, _ = raw_request(kms, "GET", f"/api/v2/keys/{key}{tail}", COMMON)
    answer.is_refused_somehow(control=control)


@covers("security-path-confusion")
@pytest.mark.parametrize("target", ["/api/v2/keys/../../api/v2/key_rings", "/api/v2/keys/%2e%2e/key_rings"])
def test_path_with_dot_segments(kms, target):
    """A path with dot segments is refused, not resolved."""
    control = kms.list_keys(limit=1).succeeds(200)
    answer, _ = raw_request(kms, "GET", target, COMMON)
    answer.is_refused_somehow(control=control)


@covers("security-alias-look-alike")
@pytest.mark.parametrize("change", [("a", "\u0430"), ("a", "a\u0301"), ("m", "\uff4d")])
def test_alias_that_looks_alike(kms, change):
    """A text that only resembles an alias addresses no key."""
    alias = kms.short_name("alias")
    key = kms.create_root_key(aliases=[alias])
    kms.get_metadata(alias).succeeds(200).shows("resources.0.id", key.id)
    kms.get_metadata(alias.replace(*change, 1)).is_refused_somehow()


@covers("security-ring-header")
@pytest.mark.parametrize("value", ["default,{ring}", "{ring},default", "*", "{ring}*", "../{ring}"])
def test_ring_header_that_names_more(kms, value):
    """A list or a pattern in the key ring header gives access to no key ring."""
    ring = kms.new_ring()
    key = kms.in_ring(ring).create_root_key()
    control = kms.in_ring(ring).get_metadata(key).succeeds(200)
    kms.in_ring(value.format(ring=ring)).get_metadata(key).is_refused_somehow(control=control)


@covers("security-method-override")
@pytest.mark.parametrize("header", ["x_http_method_override", "x_http_method", "x_method_override"])
def test_method_override_header(kms, header):
    """A header that names another method does not turn a GET into a deletion."""
    key = kms.create_root_key()
    kms.with_headers(**{header: "DELETE"}).request("GET", f"/keys/{key}").needed(200, 400, 405)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("security-method-override")
def test_method_override_query(kms):
    """A query that names another method does not turn a GET into a deletion."""
    key = kms.create_root_key()
    kms.request("GET", f"/keys/{key}", params={"_method": "DELETE"}).needed(200, 400, 405)
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("security-smuggling")
@pytest.mark.parametrize(
    ("headers", "content"),
    [
        (["content-length: 6", "transfer-encoding: chunked"], b"0\r\n\r\nX"),
        (["transfer-encoding: chunked", "transfer-encoding: identity"], b"0\r\n\r\n"),
        (["content-length: 0", "content-length: 44"], b"GET /api/v2/keys HTTP/1.1\r\nhost: smuggled\r\n\r\n"),
        (["content-length : 0"], b""),
        (["transfer-encoding: \x0bchunked"], b"0\r\n\r\n"),
    ],
    ids=["both-lengths", "two-codings", "two-lengths", "blank-before-colon", "odd-coding"],
)
def test_request_whose_end_is_open(kms, headers, content):
    """A request whose length is ambiguous is refused and never read as two requests."""
    control = kms.list_keys(limit=1).succeeds(200)
    answer, count = raw_request(kms, "POST", "/api/v2/keys", [*COMMON[:3], *headers], content)
    if count:  # closing the connection is accepted too
        answer.is_refused_somehow(control=control)
