"""The ten documented messages, and the flat error envelope that carries them.

No source gives the status or code of most of them; :data:`STATUS_OF` holds what this reference answers then.
"""

import uuid
from enum import Enum

from starlette.responses import JSONResponse, Response

from kms_reference.rules import RefusedError, Ruled, rule

PROVIDER = "classic"


class Message(Enum):
    """The page's messages in its order; values are the texts that this reference sends."""

    NOT_AUTHORIZED = "The infrastructure authentication credentials are not authorized for the request."
    NOT_CONNECTED = (
        "We were unable to connect to your Softlayer account. Creating a standard cluster requires that you have "
        "either a Pay-As-You-Go account that is linked to an IBM Cloud infrastructure account term or that you have "
        "used the Kubernetes service CLI to set your Infrastructure API keys."
    )
    ITEM_PERMISSION = "'Item' must be ordered with permission."
    INSTANCE_NOT_FOUND = (
        "The worker node instance '{id}' can't be found. Review '{provider}' infrastructure user permissions."
    )
    INSTANCE_MISSING = (
        "The worker node instance can't be found. Review '{provider}' infrastructure user permissions."
    )
    INSTANCE_UNIDENTIFIED = (
        "The worker node instance can't be identified. Review '{provider}' infrastructure user permissions."
    )
    TOKEN_EXCHANGE = "IAM token exchange request failed: {message}"  # noqa: S105 - a message, no password
    TOKEN_EXCHANGE_WITH_MESSAGE = "The IAM token exchange request failed with the message: {message}"  # noqa: S105 - same
    REGISTRY_ROLE = (
        "The cluster could not be configured with the registry. Make sure that you have the Administrator role for "
        "Container Registry."
    )
    NO_CREDENTIALS = "The user credentials could not be found."
    INVALID_API_KEY = "SoftLayer_Exception_User_Customer_Unauthorized: Invalid API key"


STATUS_OF = {
    Message.NOT_AUTHORIZED: 403,
    Message.NOT_CONNECTED: 401,
    Message.INSTANCE_NOT_FOUND: 404,
    Message.INSTANCE_MISSING: 404,
    Message.INSTANCE_UNIDENTIFIED: 404,
    Message.TOKEN_EXCHANGE: 401,
    Message.TOKEN_EXCHANGE_WITH_MESSAGE: 401,
    Message.NO_CREDENTIALS: 404,
    Message.INVALID_API_KEY: 401,
}
"""Answer status of each message that is an answer; 401 for the token exchange is the only one with evidence."""

CODE_OF = {
    Message.NOT_CONNECTED: ("E0057", "Authentication"),
    Message.TOKEN_EXCHANGE: ("P0005", "Authorization"),
    Message.TOKEN_EXCHANGE_WITH_MESSAGE: ("P0005", "Authorization"),
    Message.NO_CREDENTIALS: ("E0051", ""),
}
"""Code and type, where anybody has seen one; the other messages come without."""


class Refusal(RefusedError):  # noqa: N818 - the field's word for it
    """An operation is refused: status, text, and code and type if there are any; nothing has changed."""

    def __init__(self, status: int, description: str, code: str = "", kind: str = "") -> None:
        super().__init__(description)
        self.status, self.description, self.code, self.kind = status, description, code, kind


@rule
def refusal(_: Ruled, message: Message, /, **parts: str) -> Refusal:
    """Make the refusal that carries a documented message; ``parts`` fill its placeholders."""
    code, kind = CODE_OF.get(message, ("", ""))
    return Refusal(STATUS_OF[message], message.value.format(**parts), code, kind)


@rule
def envelope(owner: Ruled, refused: Refusal) -> Response:
    """Answer with the flat envelope."""
    return JSONResponse(envelope_members(owner, refused), refused.status)


@rule
def envelope_members(_: Ruled, refused: Refusal) -> dict[str, object]:
    """Return the members of the flat envelope; those without a value are left out."""
    members = {
        "incidentID": uuid.uuid4().hex,
        "code": refused.code,
        "description": refused.description,
        "type": refused.kind,
        "recoveryCLI": "ibmcloud ks credential set classic" if refused.code == "E0057" else "",
    }
    return {name: value for name, value in members.items() if value}
