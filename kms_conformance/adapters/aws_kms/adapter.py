"""AWS KMS as a case of its contract sees it: the ``aws`` of a case.

Every operation is a POST of JSON to one path; a header names it. A key cannot be deleted in under seven days, so clean-up
schedules its deletion: that is as clean as this service gets.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kms_conformance.adapters.aws_kms.material import Parameters, wrapped
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.adapter import SystemAdapter
from kms_conformance.run.outcomes import Inconclusive
from kms_conformance.transport.client import Request

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import JSON
    from kms_conformance.run.answer import Answer
    from kms_conformance.run.journal import JournalEntry

__all__ = ["AwsKms"]

MEDIA = "application/x-amz-json-1.1"
TARGET = "TrentService."
SHORTEST_WINDOW = 7
NO_KEY = "11111111-2222-4333-8444-555555555555"
"""The id of a key that nobody has."""
SIZE = "Plaintext (bytes)"
"""Beside a plaintext in evidence: how many bytes it has."""
_MOST_PAGES = 200
_OVER = frozenset({"NotFoundException", "KMSInvalidStateException"})
"""Codes of a key that is gone, or whose deletion is scheduled already."""


class AwsKms(SystemAdapter):
    """The keys of one account and region."""

    # --- the raw request ------------------------------------------------------------------------------------------

    def call(self, operation: str, **members: Any) -> Answer:
        """Send an operation with its members."""
        return self.raw_call(operation, members)

    def raw_call(self, operation: str, body: Any, *, token: str | None = "", step: str = "") -> Answer:
        """Send an operation with any document; ``token`` ``None``: unsigned, otherwise a literal ``authorization``."""
        headers = {"content-type": MEDIA, "x-amz-target": f"{TARGET}{operation}"}
        operation_id = self.case.context.contract.operation_of("POST", "/", headers, body)
        request = Request(
            "POST",
            "/",
            headers=headers,
            body=body,
            token=token,
            operation=operation_id,
            step=step or operation,
            reading=_with_size,
        )
        return self.case.send(request)

    # --- keys -----------------------------------------------------------------------------------------------------

    def create(self, **members: Any) -> Answer:
        """Create a key; its deletion is scheduled after the case."""
        name = self._name()
        return self.creates(
            "key",
            name,
            lambda: self.call("CreateKey", **{"Description": name, **members}),
            ref=lambda answer: str(answer["KeyMetadata.KeyId"]),
            remove=self._schedule_deletion,
        )

    def key(self, **members: Any) -> str:
        """Create a key as a precondition; return its id."""
        return str(self.create(**members).needed(200)["KeyMetadata.KeyId"])

    def pair(self, spec: str = "RSA_2048", usage: str = "ENCRYPT_DECRYPT") -> str:
        """Create a key pair as a precondition; return its id."""
        return self.key(KeySpec=spec, KeyUsage=usage)

    def arn(self, key: str) -> str:
        """Return a key's ARN."""
        return str(self.call("DescribeKey", KeyId=key).needed(200)["KeyMetadata.Arn"])

    def state(self, key: str, expected: str, requirement: str | None = None) -> Answer:
        """Expect a key in a state."""
        shown = self.call("DescribeKey", KeyId=key).succeeds(200, requirement=requirement)
        return shown.shows("KeyMetadata.KeyState", expected, requirement=requirement)

    def schedule(self, key: str, **members: Any) -> Answer:
        """Schedule a key's deletion in the shortest time, unless members say otherwise."""
        return self.call(
            "ScheduleKeyDeletion", KeyId=key, **{"PendingWindowInDays": SHORTEST_WINDOW, **members}
        )

    # --- cryptography ---------------------------------------------------------------------------------------------

    def plaintext(self, size: int = 32) -> Secret:
        """Return random bytes in base64."""
        return self.case.random_secret(size)

    def encrypt(self, key: str, plaintext: str = "", **members: Any) -> Answer:
        """Encrypt a plaintext in base64; without one, random bytes."""
        return self.call("Encrypt", KeyId=key, Plaintext=plaintext or self.plaintext(), **members)

    def ciphertext(self, key: str, plaintext: str = "", **members: Any) -> str:
        """Encrypt as a precondition; return the ciphertext in base64."""
        return str(self.encrypt(key, plaintext, **members).needed(200)["CiphertextBlob"])

    def decrypt(self, ciphertext: str, **members: Any) -> Answer:
        """Decrypt a ciphertext in base64."""
        return self.call("Decrypt", CiphertextBlob=ciphertext, **members)

    def use(self, how: str, key: str, ciphertext: str) -> Answer:
        """Use a symmetric key in one of the ways of cryptography, with a ciphertext that it has made."""
        of_key: dict[str, Any] = {"KeyId": key}
        members: dict[str, dict[str, Any]] = {
            "Encrypt": {**of_key, "Plaintext": self.plaintext()},
            "Decrypt": {"CiphertextBlob": ciphertext},
            "ReEncrypt": {"CiphertextBlob": ciphertext, "DestinationKeyId": key},
            "GenerateDataKey": {**of_key, "KeySpec": "AES_256"},
            "GenerateDataKeyWithoutPlaintext": {**of_key, "KeySpec": "AES_256"},
        }
        return self.call(how, **members[how])

    def changed(self, encoded: str, change: Callable[[bytearray], object]) -> str:
        """Return bytes in base64 after a change was made to them."""
        octets = bytearray(base64.b64decode(encoded))
        change(octets)
        return base64.b64encode(bytes(octets)).decode()

    def flipped(self, encoded: str, place: float) -> str:
        """Return bytes in base64 of which one bit differs; ``place`` is 0 for the first octet, 1 for the last."""

        def flip(octets: bytearray) -> None:
            octets[round(place * (len(octets) - 1))] ^= 1

        return self.changed(encoded, flip)

    # --- names ----------------------------------------------------------------------------------------------------

    def alias(self, key: str, name: str = "") -> Answer:
        """Give a key an alias; it is deleted after the case."""
        name = name or self.alias_name()
        return self.creates(
            "alias",
            name,
            lambda: self.call("CreateAlias", AliasName=name, TargetKeyId=key),
            ref=name,
            remove=self.delete_alias,
        )

    def alias_of(self, key: str) -> str:
        """Give a key an alias as a precondition; return the name."""
        name = self.alias_name()
        self.alias(key, name).needed(200)
        return name

    def delete_alias(self, name: str) -> Answer:
        """Delete an alias."""
        answer = self.call("DeleteAlias", AliasName=name)
        if answer.ok or self._is_over(answer):
            self.forget(name)
        return answer

    def alias_name(self) -> str:
        """Return a name for an alias that nobody has."""
        return f"alias/{self._name()}"

    # --- grants ---------------------------------------------------------------------------------------------------

    def principal(self, key: str) -> str:
        """Return the ARN of the account that a key belongs to: a principal that is always there."""
        partition, _, _, account = self.arn(key).split(":")[1:5]
        return f"arn:{partition}:iam::{account}:root"

    def grant(self, key: str, **members: Any) -> Answer:
        """Grant the use of a key to its own account; the grant ends when the key is deleted."""
        wanted = {"Operations": ["Encrypt", "Decrypt"], **members}
        if "GranteePrincipal" not in wanted:
            wanted["GranteePrincipal"] = self.principal(key)
        return self.call("CreateGrant", KeyId=key, **wanted)

    # --- lists ----------------------------------------------------------------------------------------------------

    def pages(self, operation: str, **members: Any) -> Iterator[Answer]:
        """Yield the pages of a list; each page must succeed, and there are not more than a list can need."""
        marker: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = self.call(operation, **members, **marker).needed(200)
            yield page
            if not page["Truncated"]:
                return
            marker = {"Marker": str(page["NextMarker"])}
        raise Inconclusive(f"{operation} has more than {_MOST_PAGES} pages")

    def lists_each_once(
        self, operation: str, resources: str, member: str, made: Iterable[str], **members: Any
    ) -> None:
        """Expect that the pages of a list together hold each of what was made, once."""
        seen: list[str] = []
        wanted = sorted(made)
        for page in self.pages(operation, **members):
            on_page = [str(entry[member]) for entry in page[resources] if entry.get(member) in wanted]
            new = sorted(set(on_page) - set(seen))
            page.selects(f"{resources}.*.{member}", wanted, new)
            seen += new
            if not page["Truncated"]:
                left = [name for name in wanted if name not in seen]
                page.selects(f"{resources}.*.{member}", wanted, sorted([*new, *left]))

    # --- what no evidence shows -------------------------------------------------------------------------------------

    def has_size(self, answer: Answer, size: int) -> None:
        """Expect a plaintext of so many bytes. Reports show a token instead of the plaintext, and its size."""
        answer.shows("Plaintext").shows(SIZE, size)

    def same_policy(self, answer: Answer, policy: str) -> None:
        """Expect a policy that says the same as another, whatever the blanks and the order of its members."""
        shown = answer["Policy"]
        with contextlib.suppress(ValueError):
            if json.loads(shown) == json.loads(policy):
                answer.shows("Policy")
                return
        answer.shows("Policy", policy)

    # --- imported material ----------------------------------------------------------------------------------------

    def key_without_material(self) -> str:
        """Create a key for imported material as a precondition; return its id."""
        return self.key(Origin="EXTERNAL")

    def import_parameters(self, key: str) -> Parameters:
        """Ask what to wrap material with, as a precondition."""
        answer = self.call(
            "GetParametersForImport",
            KeyId=key,
            WrappingAlgorithm="RSAES_OAEP_SHA_256",
            WrappingKeySpec="RSA_2048",
        ).needed(200)
        return Parameters(str(answer["ImportToken"]), str(answer["PublicKey"]))

    def import_material(
        self, key: str, parameters: Parameters, material: str, *, token: str = "", **members: Any
    ) -> Answer:
        """Import material in base64, wrapped as the parameters ask; ``token`` in place of theirs where one is given."""
        wanted = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", **members}
        return self.call(
            "ImportKeyMaterial",
            KeyId=key,
            ImportToken=token or parameters.token,
            **{"EncryptedKeyMaterial": wrapped(parameters, material), **wanted},
        )

    # --- clean-up -------------------------------------------------------------------------------------------------

    def undo(self, entry: JournalEntry) -> bool:
        """Remove what a killed run has left; a key whose creation was never answered is looked for by its description."""
        if entry.kind == "alias":
            answer = self.delete_alias(entry.name)
            return answer.ok or self._is_over(answer)
        keys = [entry.ref] if entry.ref else self._keys_described(entry.name)
        done = [self._schedule_deletion(key) for key in keys]
        return all(done)

    def _schedule_deletion(self, key: str) -> bool:
        answer = self.call("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=SHORTEST_WINDOW)
        done = answer.ok or self._is_over(answer)
        if done:
            self.forget(key)
        return done

    def _keys_described(self, description: str) -> list[str]:
        """Return the ids of the keys with a description that only one request of one run gives."""
        ids = [str(entry["KeyId"]) for page in self.pages("ListKeys") for entry in page["Keys"]]
        described = ((key, self.call("DescribeKey", KeyId=key)) for key in ids)
        return [
            key for key, answer in described if answer.ok and answer["KeyMetadata.Description"] == description
        ]

    def _is_over(self, answer: Answer) -> bool:
        return self.case.context.contract.code_of(answer.body) in _OVER

    def _name(self) -> str:
        """Return a name under the suite's prefix, unique to run, case and request."""
        case = hashlib.sha256(f"{self.case.context.run} {self.case.info.id}".encode()).hexdigest()[:8]
        return f"kmsct-{self.case.context.run[:8]}-{case}-{len(self.case.exchanges)}"


def _with_size(document: JSON) -> JSON:
    """Return an answer with the size of its plaintext added; an answer read from a record has it already."""
    plaintext = document.get("Plaintext") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(plaintext, str) or SIZE in document:
        return document
    try:
        return {**document, SIZE: len(base64.b64decode(plaintext, validate=True))}
    except ValueError:
        return document
