"""The hook that signs requests to AWS KMS, with the access key of an identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kms_conformance.errors import ExitCode, MissingExtraError, SuiteError

if TYPE_CHECKING:
    from kms_conformance.target.identity import Identity
    from kms_conformance.target.target import Target
    from kms_conformance.transport.authorization import FinalRequest

REGION = "us-east-1"


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

    Raises :class:`MissingExtraError` without botocore, :class:`MissingAccessKeyError` where the identity lacks a key.
    """
    try:
        from kms_conformance.adapters.aws_kms import sigv4  # noqa: PLC0415 - its library is an extra of the package
    except ImportError as error:
        raise MissingExtraError("a signed request to AWS KMS", "botocore", "aws") from error
    for member in ("access_key_id", "secret_access_key"):
        if member not in identity.more:
            raise MissingAccessKeyError(identity.name, member)
    token = identity.more.get("session_token")
    access_key = sigv4.AccessKey(
        str(identity.more["access_key_id"]),
        str(identity.more["secret_access_key"]),
        None if token is None else str(token),
    )
    return sigv4.signing_headers(request, access_key, str(target.table.get("region", REGION)))
