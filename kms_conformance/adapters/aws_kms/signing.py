"""Signature Version 4, by the vendor's own library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kms_conformance.errors import ExitCode, SuiteError

if TYPE_CHECKING:
    from kms_conformance.target.identity import Identity
    from kms_conformance.target.target import Target
    from kms_conformance.transport.authorization import FinalRequest

REGION = "us-east-1"
_SIGNED = frozenset({"content-type", "host", "x-amz-target"})
"""Headers that the signature covers beside its own: a proxy may change any other on the way."""


@dataclass(eq=False)
class MissingSignerError(SuiteError):
    """The library that signs requests is not installed."""

    library: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "Requests to AWS KMS are signed by {library}, which is not installed."
    advises: ClassVar[str] = "pip install 'kms-conformance[aws]'"


@dataclass(eq=False)
class MissingAccessKeyError(SuiteError):
    """An identity lacks a part of the access key that its requests are signed with."""

    identity: str
    member: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "The identity {identity!r} has no {member}, which its requests are signed with."
    advises: ClassVar[str] = "give [identities.{identity}] {member}_env or {member}_file."


def sign(request: FinalRequest, identity: Identity, target: Target) -> Mapping[str, str]:
    """Return the headers that sign a request for the region of the target's table.

    Raises :class:`MissingSignerError` without botocore, :class:`MissingAccessKeyError` where the identity lacks a key.
    """
    try:
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - an extra of the package
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - same
        from botocore.credentials import Credentials  # noqa: PLC0415 - same
    except ImportError as error:
        raise MissingSignerError("botocore") from error
    for member in ("access_key_id", "secret_access_key"):
        if member not in identity.more:
            raise MissingAccessKeyError(identity.name, member)
    token = identity.more.get("session_token")
    credentials = Credentials(
        str(identity.more["access_key_id"]),
        str(identity.more["secret_access_key"]),
        None if token is None else str(token),
    )
    covered = {name: value for name, value in request.headers.items() if name in _SIGNED}
    signed = AWSRequest(method=request.method, url=request.url, headers=covered, data=request.body)
    SigV4Auth(credentials, "kms", str(target.table.get("region", REGION))).add_auth(signed)
    return {name.lower(): str(value) for name, value in signed.headers.items() if name.lower() not in covered}
