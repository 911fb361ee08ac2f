"""Every refusal of the Key Protect API: codes, statuses, texts and the error envelope.

Texts are the ones of the documented JSON examples where there is one, otherwise of the section's heading.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from kms_reference.rules import RefusedError, Rules

ERROR_TYPE: Final = "application/vnd.ibm.kms.error+json"
MORE_INFO: Final = "https://cloud.ibm.com/apidocs/key-protect"
UNAUTHORIZED_OLD: Final = "Unauthorized: The user does not have access to the specified resource"
UNAUTHORIZED_NEW: Final = (
    "Unauthorized: Either the user does not have access to the specified resource, "
    "the resource does not exist, or the region is incorrectly set"
)
INSTANCE_HEADER: Final = "Bad Request: Request requires valid Bluemix-Instance Header containing a valid UUID"


@dataclass(frozen=True, slots=True)
class Code:
    """One reason code: its status, its message and how the page prints its summary line."""

    status: int
    message: str
    newer_style: bool = False
    """The documented example ends in `: Please see ... for more details (CODE)`."""
    more_info: str = MORE_INFO


CODES: Final[dict[str, Code]] = {
    "AUTHORIZATIONS_NOT_MET": Code(409, "Number of authorizations required to delete is not met"),
    "BAD_BODY_ERR": Code(
        400,
        "Invalid body data was passed. Please ensure the data passed had valid formatting with no invalid "
        "characters",
    ),
    "BEARER_SUB_EXTRACTION_ERR": Code(
        400,
        "Extracting the subject from the bearer token failed: Make sure the bearer token passed is the correct "
        "one (and correct format) and is allowed to perform requested actions",
    ),
    "BODY_QUERY_PARAM_MISMATCH_ERR": Code(
        400, "Data in body does not match data required by query parameter"
    ),
    "COLLECTION_TOTAL_MISMATCH_ERR": Code(400, "Collection total does not match number of resources"),
    "CONFIG_RULE_CONFLICT_ERR": Code(403, "Requested change is not compliant with configuration rules"),
    "FEATURE_RESTRICTED_ERR": Code(
        403,
        "This action is not permitted on this resource: Please contact IBM Key Protect or open a service ticket "
        "to enable this feature",
    ),
    "IMPORT_TOKEN_EXPIRED_ERR": Code(409, "The import token has expired."),
    "INCOMPLETE_METADATA_ERR": Code(500, "Key metadata became corrupted: Please delete this key"),
    "INCORRECT_NONCE_ERR": Code(
        400,
        "The encrypted nonce given does not match existing record: Please ensure the correct nonce was given in "
        "the request",
    ),
    "INCORRECT_NONCE_IV_ERR": Code(
        400,
        "The provided encrypted nonce was not encrypted with the key material given OR the provided IV does not "
        "match the encrypted nonce",
    ),
    "INVALID_FIELD_ERR": Code(400, "", newer_style=True),
    "INVALID_QUERY_PARAM_ERR": Code(400, "", newer_style=True),
    "INVALID_SIG_EXP_ERR": Code(422, "Signature is invalid"),
    "KEY_ACTION_INVALID_STATE_ERR": Code(409, "Key is not in a valid state"),
    "KEY_ALIAS_NOT_UNIQUE_ERR": Code(409, "One or more aliases are already in use", newer_style=True),
    "KEY_ALIAS_QUOTA_ERR": Code(409, "The key has reached its quota of aliases", newer_style=True),
    "KEY_CREATE_IMPORT_ACCESS_ERR": Code(
        409, "KeyCreateImportAccess instance policy does not allow this action", newer_style=True
    ),
    "KEY_DELETED_ERR": Code(410, "Key has already been deleted. Please delete references to this key."),
    "KEY_EXPIRED_ERR": Code(400, "The action could not be performed on the key because the key is expired."),
    "KEY_IMPT_REQ_ERR": Code(400, "Only imported keys may be restored."),
    "KEY_INVALID_STATE_ERR": Code(422, "Key is not in a valid state"),
    "KEY_NOT_FOUND_ERR": Code(404, "key does not exist", newer_style=True),
    "KEY_PAYLOAD_REQ_ERR": Code(
        400,
        "This root key was created with user-supplied key material: Key material is required to perform a "
        "'rotate' action",
        newer_style=True,
    ),
    "KEY_RESTORE_EXPIRED": Code(400, "Key restoration has expired"),
    "KEY_RING_KEYS_NOT_DELETED_ERR": Code(
        409, "The specified key ring contains keys that are not deleted", newer_style=True
    ),
    "KEY_RING_NOT_EMPTY_ERR": Code(
        409, "The specified key ring contains at least one key (in any state)", newer_style=True
    ),
    "KEY_RING_NOT_FOUND_ERR": Code(404, "The specified key ring does not exist", newer_style=True),
    "KEY_ROOT_REQ_ERR": Code(400, "Requested action can only be completed with a root key."),
    "KEY_ROOT_REQ_REG_ERR": Code(422, "Requested action can only be completed with a root key"),
    "KEY_ROTATION_NOT_PERMITTED": Code(
        409,
        "This root key has been rotated within the last hour: Only one 'rotate' action per hour is permitted",
        newer_style=True,
    ),
    "KEY_SEARCH_TOO_BROAD": Code(400, "The search covers too many keys", newer_style=True),
    "KEY_VERSION_INVALID": Code(
        422, "This request requires that the key version is later than current registration key version"
    ),
    "KMIP_ADAPTER_DUPLICATE_NAME_ERR": Code(409, "A KMIP adapter with this name exists", newer_style=True),
    "KMIP_CERT_DUPLICATE_ERR": Code(409, "The certificate is already in use", newer_style=True),
    "KMIP_CERT_DUPLICATE_NAME_ERR": Code(
        409, "The KMIP adapter has a certificate with this name", newer_style=True
    ),
    "NATIVE_CRK_ID_NOT_FOUND_ERR": Code(
        404, "The root key of the KMIP adapter does not exist", newer_style=True
    ),
    "NATIVE_INVALID_CRK_ERR": Code(400, "The key cannot serve a KMIP adapter", newer_style=True),
    "NOT_DUAL_AUTH_ERR": Code(409, "The key is not dual auth enabled and cannot be set for deletion"),
    "NO_BODY_ERR": Code(400, "Missing body in request"),
    "NUM_COLLECTION_RESOURCE_ERR": Code(
        400,
        "Only a single instance policy may be created per query parameter. Please pass single resource object",
    ),
    "PREV_KEY_DEL_ERR": Code(
        409,
        "The key cannot be deleted because it's protecting a cloud resource that has a retention policy: Before "
        "you delete this key, contact an account owner to remove the retention policy on each resource that is "
        "associated with the key",
    ),
    "PROTECTED_RESOURCE_ERR": Code(
        409,
        "Key is protecting one or more cloud resources",
        more_info="https://cloud.ibm.com/docs/key-protect?topic=key-protect-troubleshooting"
        "#unable-to-delete-keys",
    ),
    "REQ_TOO_EARLY_ERR": Code(409, "The key was updated recently: Please wait and try again"),
    "RESOURCE_OWNER_ERR": Code(403, "The resource(s) queried does not belong to the service"),
    "SERVICE_ONLY_ERR": Code(403, "This action can only be done by a service (service to service)"),
    "UNPROCESSABLE_CIPHERTEXT_ERR": Code(422, "The provided ciphertext is invalid or corrupted"),
}

# The texts of the umbrella section on deletion, in the order of its examples; a variation shows them.
UMBRELLA_MESSAGES: Final = {
    "AUTHORIZATIONS_NOT_MET": "The key cannot be deleted because it failed the dual authorization request.",
    "PROTECTED_RESOURCE_ERR": (
        "The key cannot be deleted because the key has one or more associated resources."
    ),
    "PREV_KEY_DEL_ERR": (
        "The key cannot be deleted because it's protecting a cloud resource that has a retention policy."
    ),
}


class RefusalError(RefusedError):
    """A request that the service refuses.

    `code` is a key of `CODES`, or None for an envelope without reasons; then `summary` is the whole
    errorMsg and `status` must be given. `subject` replaces the operation's own words for what failed;
    `detail` goes before the subject; `suffix` is appended to the message; `message` replaces it; `newer`
    asks for the newer form of the summary, which operations have that the page does not describe.
    """

    def __init__(
        self,
        code: str | None = None,
        *,
        status: int | None = None,
        summary: str | None = None,
        subject: str | None = None,
        detail: str | None = None,
        suffix: str | None = None,
        message: str | None = None,
        target: tuple[str, str] | None = None,
        headers: dict[str, str] | None = None,
        newer: bool = False,
    ) -> None:
        super().__init__(code or summary)
        self.code = code
        self.status = status if status is not None else CODES[code or ""].status
        self.summary = summary
        self.subject = subject
        self.detail = detail
        self.suffix = suffix
        self.message = message
        self.target = target
        self.headers = headers or {}
        self.newer = newer


def bad_body(detail: str) -> RefusalError:
    """Say that the body cannot be decoded or lacks its frame (bad-body-err)."""
    return RefusalError("BAD_BODY_ERR", suffix=detail)


def bad_field(name: str, must_be: str, *, subject: str | None = None, quote: str = "'") -> RefusalError:
    """Say that the member `name` has a value that the service does not take (invalid-field-err)."""
    return RefusalError(
        "INVALID_FIELD_ERR",
        message=f"The field {quote}{name}{quote} must be: {must_be}",
        target=("field", name),
        subject=subject,
    )


def bad_query(name: str, must_be: str) -> RefusalError:
    """Say that the query parameter `name` has a value that the service does not take."""
    return RefusalError(
        "INVALID_QUERY_PARAM_ERR",
        message=f"The query_param '{name}' must be: {must_be}",
        target=("query_param", name),
    )


def unauthorized() -> RefusalError:
    """No access: bad or missing token, no role, wrong network. Carries no reasons (unauthorized-err)."""
    return RefusalError(status=401, summary="")


def unknown_key() -> RefusalError:
    """Say that the key does not exist, is purged, or is not in the key ring that was named."""
    return RefusalError("KEY_NOT_FOUND_ERR", subject="Key could not be retrieved")


def plain(status: int, text: str, **headers: str) -> RefusalError:
    """Return a refusal for which no source knows a reason code: the envelope without reasons."""
    return RefusalError(
        status=status,
        summary=f"{HTTPStatus(status).phrase}: {text}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def envelope(refusal: RefusalError, subject: str, rules: Rules) -> dict[str, Any]:
    """Return the JSON error body: with reasons when there is a code, without them otherwise."""
    resource: dict[str, Any]
    if refusal.code is None:
        summary = refusal.summary
        if refusal.status == HTTPStatus.UNAUTHORIZED and refusal.summary in (
            "",
            UNAUTHORIZED_OLD,
            UNAUTHORIZED_NEW,
        ):
            newer = (not rules.page) != rules.varies("unauthorized-other-wording")
            summary = UNAUTHORIZED_NEW if newer else UNAUTHORIZED_OLD
        resource = {"errorMsg": summary}
    else:
        code = CODES[refusal.code]
        message = refusal.message or code.message
        if refusal.suffix:
            message = f"{message.removesuffix('.')}: {refusal.suffix}"
        reason: dict[str, Any] = {
            "code": refusal.code,
            "message": message,
            "status": refusal.status,
            "moreInfo": code.more_info,
        }
        if refusal.target is not None:
            reason["target"] = {"type": refusal.target[0], "name": refusal.target[1]}
        resource = {
            "errorMsg": _summary(
                refusal, refusal.subject or subject, rules, newer=code.newer_style or refusal.newer
            ),
            "reasons": [reason],
        }
    return {"metadata": {"collectionType": ERROR_TYPE, "collectionTotal": 1}, "resources": [resource]}


def _summary(refusal: RefusalError, subject: str, rules: Rules, *, newer: bool) -> str:
    phrase = HTTPStatus(refusal.status).phrase
    head = f"{phrase}: {refusal.detail}: {subject}" if refusal.detail else f"{phrase}: {subject}"
    if newer or not rules.page:
        return f"{head}: Please see `reasons` for more details ({refusal.code})"
    return f"{head}. Please see `reasons` for more details."
