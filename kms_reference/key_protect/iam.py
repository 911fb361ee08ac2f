"""The token issuer and the check of tokens.

Tokens are signed JWTs. Their life is judged by real time, whatever an instance's clock says.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import asdict, dataclass
from secrets import token_hex, token_urlsafe
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs
from uuid import uuid4

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from kms_reference.key_protect.clock import real_now
from kms_reference.key_protect.errors import RefusalError, unauthorized
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.rules import Rules

LIFE: Final = 3_600
READER: Final = ("Reader",)
MANAGER: Final = ("Reader", "ReaderPlus", "Writer", "Manager")
_CACHE_SIZE: Final = 8_192
_SIGNING_BITS: Final = 2_048

_signing_lock = threading.Lock()
_signing_key: list[rsa.RSAPrivateKey] = []


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who can call: `kind` is `user`, `serviceid` or `service` (service to service, a CRN token)."""

    name: str
    iam_id: str
    subject: str
    kind: str
    roles: tuple[str, ...]
    account: str
    expired: bool = False


def new_identities() -> dict[str, Identity]:
    """Return a fresh set of identities by throw-away API key."""
    account = token_hex(16)
    rows: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("manager", "user", MANAGER),
        ("approver", "user", MANAGER),
        ("service", "service", READER),
        ("reader", "user", READER),
        ("outsider", "user", ()),
        ("purger", "user", (*MANAGER, "KeyPurge")),
        ("expired", "user", MANAGER),
    )
    identities: dict[str, Identity] = {}
    for name, kind, roles in rows:
        if kind == "service":
            subject = f"crn:v1:bluemix:public:cloud-object-storage:global:a/{account}:{uuid4()}::"
            iam_id = f"crn-{subject}"
        else:
            subject = f"{name}@kms.example.test"
            iam_id = f"IBMid-{token_hex(5).upper()}"
        identities[f"reference-{name}-{token_urlsafe(24)}"] = Identity(
            name, iam_id, subject, kind, roles, account, expired=name == "expired"
        )
    return identities


class Issuer:
    """Exchanges API keys for tokens and tokens for identities."""

    def __init__(self, identities: dict[str, Identity], rules: Rules, signing_pem: str = "") -> None:
        self._identities = identities
        self._by_iam_id = {identity.iam_id: identity for identity in identities.values()}
        self.rules = rules
        self._private: rsa.RSAPrivateKey | None = None
        self._pem = signing_pem
        self._kid = ""
        self._cache: dict[str, tuple[Identity, float]] = {}
        self.issuer = "http://127.0.0.1/identity"

    @property
    def api_keys(self) -> dict[str, str]:
        """API key by name of identity."""
        return {identity.name: key for key, identity in self._identities.items()}

    def to_row(self) -> dict[str, Any]:
        """Identities and signing key, so that tokens outlive a restart."""
        return {
            "identities": {key: asdict(identity) for key, identity in self._identities.items()},
            "signing_pem": self.signing_pem(),
        }

    @classmethod
    def from_row(cls, row: dict[str, Any], rules: Rules) -> Issuer:
        """Return the issuer that `to_row` wrote."""
        identities = {
            key: Identity(**{**identity, "roles": tuple(identity["roles"])})
            for key, identity in row["identities"].items()
        }
        return cls(identities, rules, row["signing_pem"])

    # -- issuing ---------------------------------------------------------------------------------

    def exchange(self, form: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON body for a token request (`application/x-www-form-urlencoded`)."""
        try:
            fields = parse_qs(form.decode("utf-8"), keep_blank_values=True, max_num_fields=100)
        except ValueError:
            fields = {}
        grant = fields.get("grant_type", [""])[0]
        if grant != "urn:ibm:params:oauth:grant-type:apikey":
            return 400, _iam_error("BXNIM0101E", f"The grant_type {grant[:80]!r} is not supported here.")
        identity = self._identities.get(fields.get("apikey", [""])[0])
        if identity is None:
            return 400, _iam_error("BXNIM0415E", "Provided API key could not be found.")
        issued = int(real_now())
        if identity.expired:
            issued -= 2 * LIFE
        return 200, {
            "access_token": self.token(identity, issued),
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": LIFE,
            "expiration": issued + LIFE,
            "scope": "ibm openid",
        }

    def token(self, identity: Identity, issued: int) -> str:
        """Return a signed token that is valid for one hour from `issued` (seconds since 1970)."""
        kinds = {"user": "IBMid", "serviceid": "ServiceId", "service": "CRN"}
        claims = {
            "iam_id": identity.iam_id,
            "id": identity.iam_id,
            "realmid": identity.iam_id.partition("-")[0],
            "jti": str(uuid4()),
            "identifier": identity.iam_id.partition("-")[2],
            "sub": identity.subject,
            "sub_type": kinds[identity.kind],
            "account": {"valid": True, "bss": identity.account, "frozen": False},
            "iat": issued,
            "exp": issued + LIFE,
            "iss": self.issuer,
            "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
            "scope": "ibm openid",
            "client_id": "default",
        }
        private = self._signer()
        head = _segment({"kid": self._kid, "typ": "JWT", "alg": "RS256"})
        signed = f"{head}.{_segment(claims)}"

        signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_text(signature)}"

    # -- checking --------------------------------------------------------------------------------

    def identify(self, authorization: str | None) -> Identity | None:
        """Return the caller behind an authorization header, None when it does not identify anybody."""
        try:
            return self.authenticate(authorization)
        except RefusalError:
            return None

    @rule
    def authenticate(self, authorization: str | None) -> Identity:
        """As `identify`. Raises 401 without reasons, or BEARER_SUB_EXTRACTION_ERR for an unreadable token."""
        if authorization is None:
            raise unauthorized()
        now = real_now()
        cached = self._cache.get(authorization)
        if cached is not None and not self.is_over(cached[1], now):
            return cached[0]
        scheme, _, token = authorization.strip().partition(" ")
        claims = _readable(token.strip()) if scheme.lower() == "bearer" else None
        if claims is None:
            raise RefusalError("BEARER_SUB_EXTRACTION_ERR")
        identity, expires = self._verify(token.strip(), claims, now)
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        self._cache[authorization] = (identity, expires)
        return identity

    def named(self, name: str) -> Identity:
        """Return the identity of this name. Raises KeyError."""
        return self._identities[self.api_keys[name]]

    @rule
    def is_over(self, expires: float, now: float) -> bool:
        """Whether a token that expires at a moment is expired now."""
        return now >= expires

    def _verify(self, token: str, claims: dict[str, Any], now: float) -> tuple[Identity, float]:
        identity = self._by_iam_id.get(str(claims.get("iam_id")))
        expires = claims.get("exp")
        if identity is None or isinstance(expires, bool) or not isinstance(expires, int | float):
            raise unauthorized()
        if self.is_over(expires, now):
            raise self.expired()
        if not self.signed(token):
            raise unauthorized()
        return identity, float(expires)

    @rule
    def expired(self) -> RefusalError:
        """Return the refusal of a token that has expired."""
        return unauthorized()

    @rule
    def signed(self, token: str) -> bool:
        """Whether the token carries the signature of this issuer."""
        private = self._signer()
        signed, _, signature = token.rpartition(".")
        head = _json_segment(signed.partition(".")[0]) or {}
        if head.get("alg") != "RS256" or head.get("kid") != self._kid:
            return False
        try:
            private.public_key().verify(
                _bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (InvalidSignature, ValueError):
            return False
        return True

    def signing_pem(self) -> str:
        """Return the private signing key, made on first use."""
        self._signer()
        return self._pem

    def _signer(self) -> rsa.RSAPrivateKey:
        if self._private is None:
            if self._pem:
                loaded = serialization.load_pem_private_key(self._pem.encode(), None)
                assert isinstance(loaded, rsa.RSAPrivateKey)
                self._private = loaded
            else:
                # One key per process is enough: identities differ per server, so tokens do not cross over.
                with _signing_lock:
                    if not _signing_key:
                        _signing_key.append(rsa.generate_private_key(65537, _SIGNING_BITS))
                self._private = _signing_key[0]
                self._pem = self._private.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ).decode()
            digest = hashes.Hash(hashes.SHA256())
            digest.update(str(self._private.public_key().public_numbers().n).encode())
            self._kid = digest.finalize().hex()[:16]
        return self._private


def _iam_error(code: str, message: str) -> dict[str, Any]:
    return {
        "errorCode": code,
        "errorMessage": message,
        "context": {"requestId": str(uuid4()), "requestType": "incoming.Identity_Token"},
    }


def _readable(token: str) -> dict[str, Any] | None:
    """Return the claims of a token that can be taken apart and names a subject, signed or not."""
    segments = token.split(".")
    if len(segments) != 3:  # noqa: PLR2004 - header, claims, signature
        return None
    head, claims = _json_segment(segments[0]), _json_segment(segments[1])
    if head is None or claims is None:
        return None
    return claims if any(isinstance(claims.get(name), str) for name in ("iam_id", "sub")) else None


def _json_segment(segment: str) -> dict[str, Any] | None:
    try:
        value = json.loads(_bytes(segment))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _bytes(segment: str) -> bytes:
    return base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _segment(value: dict[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())
