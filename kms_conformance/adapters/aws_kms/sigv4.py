"""Signature Version 4, by the vendor's own library. Importing this module needs botocore, an extra of the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from kms_conformance.transport.authorization import FinalRequest

_SIGNED = frozenset({"content-type", "host", "x-amz-target"})
"""Headers that the signature covers beside its own: a proxy may change any other on the way."""


class AccessKey(NamedTuple):
    """What a request is signed with; ``session_token`` belongs to temporary access keys only."""

    key_id: str
    secret: str
    session_token: str | None


def signing_headers(request: FinalRequest, access_key: AccessKey, region: str) -> Mapping[str, str]:
    """Return the headers that sign a request to AWS KMS in a region."""
    covered = {name: value for name, value in request.headers.items() if name in _SIGNED}
    signed = AWSRequest(method=request.method, url=request.url, headers=covered, data=request.body)
    SigV4Auth(Credentials(*access_key), "kms", region).add_auth(signed)
    return {name.lower(): str(value) for name, value in signed.headers.items() if name.lower() not in covered}
