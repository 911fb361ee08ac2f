"""A request taken apart, a reply before it is written, and JSON the way the service reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.errors import RefusalError, bad_body, bad_query, unknown_key
from kms_reference.key_protect.instance import DEFAULT_RING
from kms_reference.rules import rule

if TYPE_CHECKING:
    from kms_reference.key_protect.iam import Identity
    from kms_reference.key_protect.instance import Instance
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.server_state import ServerState
    from kms_reference.rules import Draft, Rules

TYPE_PREFIX: Final = "application/vnd.ibm.kms."
KEY_TYPE: Final = "application/vnd.ibm.kms.key+json"
POLICY_TYPE: Final = "application/vnd.ibm.kms.policy+json"
UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
# Go's ParseBool, which the service's language suggests.
_BOOLEANS: Final = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)
_MAX_DIGITS: Final = 18


@dataclass(slots=True)
class Reply:
    """Status, JSON value (None: no body) and headers in addition to the usual ones."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[["Call"], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table of operations.

    `roles` are the roles of which one is needed (empty: any role); `subject` starts the error summary;
    `service_subject` replaces it in the edition `service`; `writes` marks what a configuration rule can forbid.
    """

    id: str
    method: str
    path: str
    roles: frozenset[str]
    subject: str
    handler: Handler
    service_subject: str = ""
    service_only: bool = False
    writes: bool = False

    def words(self, rules: Rules) -> str:
        """Return what the error summary says could not be done."""
        return self.service_subject if self.service_subject and not rules.page else self.subject


@dataclass(slots=True)
class Call:
    """One authenticated request on its way to a handler."""

    operation: Operation
    args: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes
    identity: Identity
    instance: Instance
    server_state: ServerState
    now: float
    stale: dict[str, Any] = field(default_factory=dict)
    """What a defect has read before other requests came in between; empty in a lawful server."""

    @property
    def rules(self) -> Rules:
        """The switches of this server."""
        return self.server_state.rules

    @property
    def old_form(self) -> bool:
        """Whether an action was asked for by the older form of its path, ``?action=``."""
        return "action" in self.query

    @property
    def ring(self) -> str | None:
        """The key ring named by header, None when none is."""
        return self.headers.get("x-kms-key-ring") or None

    @property
    def representation(self) -> bool:
        """Whether the client prefers the full representation in the reply."""
        return "return=representation" in self.headers.get("prefer", "").replace(" ", "").lower()

    def key(self) -> Key:
        """Return the key that the path names by id or alias. Raises KEY_NOT_FOUND_ERR, INCOMPLETE_METADATA_ERR."""
        key = self.key_as_is()
        self.check_intact(key)
        return key

    @rule
    def check_intact(self, key: Key) -> None:
        """The key's metadata are whole. Raises INCOMPLETE_METADATA_ERR."""
        if key.corrupt:
            raise RefusalError("INCOMPLETE_METADATA_ERR")

    @rule
    def key_as_is(self) -> Key:
        """Return the key as `key` does, corrupt or not: a corrupt key can be deleted. Raises KEY_NOT_FOUND_ERR."""
        key = self.find_key()
        if key is None:
            raise unknown_key()
        self.check_ring(key)
        return key

    @rule
    def find_key(self) -> Key | None:
        """Return the key of this instance that the path names by id or alias."""
        return self.instance.find(self.args["id"])

    @rule
    def check_ring(self, key: Key) -> None:
        """A key ring that is named by header holds the key. Raises KEY_NOT_FOUND_ERR."""
        if self.ring not in (None, key.ring):
            raise unknown_key()

    @rule
    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean query parameter. Raises INVALID_QUERY_PARAM_ERR."""
        text = self.query.get(name)
        if text is None or text == "":
            return default
        if text not in _BOOLEANS:
            raise bad_query(name, "a boolean")
        return _BOOLEANS[text]

    def number(self, name: str, low: int, high: int | None, default: int) -> int:
        """Return an integer query parameter within bounds. Raises INVALID_QUERY_PARAM_ERR."""
        text = self.query.get(name)
        if text is None:
            return default
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII) else None
        if value is None or value < low or (high is not None and value > high):
            bounds = (
                f"an integer between {low} and {high} (inclusive)"
                if high is not None
                else f"an integer greater than or equal to {low}"
            )
            raise bad_query(name, bounds)
        return value

    @rule
    def json(self) -> Any:
        """Return the body as a JSON value, None when there is none or it is `null`. Raises BAD_BODY_ERR."""
        return decode_json(self.raw)

    def body(self) -> dict[str, Any]:
        """Return the body as an object. Raises NO_BODY_ERR, BAD_BODY_ERR."""
        value = self.json()
        if value is None:
            raise RefusalError("NO_BODY_ERR")
        return as_object(value)


def decode_json(raw: bytes) -> Any:
    """Strict JSON in UTF-8. Raises BAD_BODY_ERR."""
    if not raw.strip(b" \t\r\n"):
        return None
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise bad_body("exceeded max depth") from None
    except ValueError:
        raise bad_body("invalid character in JSON text") from None
    # An escaped half of a surrogate pair cannot be written back as UTF-8; Go replaces it as well.
    return _without_surrogates(value) if "\\u" in text else value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def as_object(value: Any, what: str = "body") -> dict[str, Any]:
    """Return a JSON object with its member names in lower case, as names match in any case.

    Raises BAD_BODY_ERR.
    """
    if not isinstance(value, dict):
        raise bad_body(f"json: cannot unmarshal {json_kind(value)} into {what} of type object")
    return {name.lower(): member for name, member in value.items()}


def json_kind(value: Any) -> str:
    """Return the JSON kind of a value, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


@dataclass(frozen=True, slots=True)
class Members:
    """Typed reading of an object's members; an absent and a null member are the same.

    Every method raises BAD_BODY_ERR when the JSON type is another one.
    """

    values: dict[str, Any]

    @classmethod
    def of(cls, value: Any, what: str) -> Members:
        """Read `value`, which must be an object."""
        return cls(as_object(value, what))

    def _typed(self, name: str, kind: type, words: str) -> Any:
        value = self.values.get(name.lower())
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise bad_body(f"json: cannot unmarshal {json_kind(value)} into field {name} of type {words}")
        return value

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        return self.values.get(name.lower()) is not None

    def text(self, name: str) -> str | None:
        """Return a string member."""
        value: str | None = self._typed(name, str, "string")
        return value

    def boolean(self, name: str) -> bool | None:
        """Return a boolean member."""
        value: bool | None = self._typed(name, bool, "bool")
        return value

    def integer(self, name: str) -> int | None:
        """Return a number member without a fraction."""
        value = self.values.get(name.lower())
        if isinstance(value, float) and value.is_integer() and abs(value) < 10**_MAX_DIGITS:
            return int(value)
        whole: int | None = self._typed(name, int, "int")
        return whole

    def texts(self, name: str) -> list[str]:
        """Return an array of strings, empty when absent. A null in it reads as an empty string, as in Go."""
        value: list[Any] = self._typed(name, list, "array") or []
        for item in value:
            if item is not None and not isinstance(item, str):
                raise bad_body(f"json: cannot unmarshal {json_kind(item)} into field {name} of type string")
        return [item or "" for item in value]

    def object(self, name: str) -> Members | None:
        """Return an object member."""
        value = self.values.get(name.lower())
        return None if value is None else Members.of(value, f"field {name}")

    def only(self, *names: str) -> None:
        """Refuse members of other names, as a strict decoder does."""
        allowed = {name.lower() for name in names}
        for name in self.values:
            if name not in allowed:
                raise bad_body(f'json: unknown field "{name[:80]}"')


@dataclass(frozen=True, slots=True)
class Collection:
    """The frame `{metadata, resources}` of a request body; `total` is None when it was left out."""

    kind: str | None
    total: int | None
    resources: list[Any]


def read_collection(body: dict[str, Any]) -> Collection:
    """Take the frame apart. Raises BAD_BODY_ERR."""
    frame = Members(body)
    metadata = frame.object("metadata")
    if metadata is None or not (metadata.has("collectionType") or metadata.has("collectionTotal")):
        raise bad_body("CollectionMetadata is empty")
    kind, total = metadata.text("collectionType"), metadata.integer("collectionTotal")
    resources = body.get("resources")
    if resources is None:
        raise bad_body("No resources were provided")
    if not isinstance(resources, list):
        raise bad_body(f"json: cannot unmarshal {json_kind(resources)} into field resources of type array")
    return Collection(kind, total, resources)


def check_frame(frame: Collection, kind: str) -> None:
    """Refuse a collection whose metadata do not name its type and number of resources. Raises BAD_BODY_ERR, COLLECTION_TOTAL_MISMATCH_ERR."""
    if frame.kind != kind:
        raise bad_body(f"collectionType must be {kind}")
    if frame.total != len(frame.resources):
        raise RefusalError("COLLECTION_TOTAL_MISMATCH_ERR")


def single_resource(body: dict[str, Any], kind: str, many: str) -> Members:
    """Return the only resource of a body that must hold exactly one. Raises BAD_BODY_ERR and as `check_frame`."""
    frame = read_collection(body)
    if len(frame.resources) > 1:
        raise bad_body(many)
    if not frame.resources or not frame.resources[0]:
        raise bad_body("resource has zero value or is empty")
    check_frame(frame, kind)
    return Members.of(frame.resources[0], "resource")


def collection(kind: str, resources: list[Any], **metadata: Any) -> dict[str, Any]:
    """Return the frame of a reply; an empty list leaves `resources` out, as the service does."""
    body: dict[str, Any] = {
        "metadata": {"collectionType": TYPE_PREFIX + kind, "collectionTotal": len(resources), **metadata}
    }
    if resources:
        body["resources"] = resources
    return body


@rule
def ring_of(call: Call) -> str:
    """Return the key ring that a new key goes to. Raises KEY_RING_NOT_FOUND_ERR."""
    ring = call.ring or DEFAULT_RING
    if ring != DEFAULT_RING and ring not in call.instance.rings:
        raise RefusalError("KEY_RING_NOT_FOUND_ERR")
    return ring


def keys_shown(draft: Draft) -> list[dict[str, Any]]:
    """Return the keys that a success shows."""
    resources = draft.body.get("resources") if isinstance(draft.body, dict) and not draft.refused else None
    return [entry for entry in resources or () if entry.get("type") == KEY_TYPE and "extractable" in entry]
