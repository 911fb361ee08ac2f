"""Defects of the proxy: each must be seen by the case that it names."""

from __future__ import annotations

import base64
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from proxy import Change, Defect, Exchange, broken
from runs import run_cases
from servers import Server, target_text

from kms_conformance.contract.severity import Verdict
from kms_conformance.target.target import build_target

BOTH = ("moto", "ministack")
MOTO = ("moto",)
MINISTACK = ("ministack",)
SCENARIOS = "kms_conformance.scenarios.aws_kms"


# --- what is done ----------------------------------------------------------------------------------------------------


def swallow(*operations: str) -> Change:
    """Answer operations with an empty success and do nothing."""

    def change(exchange: Exchange) -> bool:
        return exchange.operation in operations

    return change


def without(operation: str, member: str) -> Change:
    """Forget a member of a request."""

    def change(exchange: Exchange) -> None:
        if exchange.operation == operation:
            exchange.asked.pop(member, None)

    return change


def without_contexts(exchange: Exchange) -> None:
    """Forget every encryption context."""
    for name in [name for name in exchange.asked if name.endswith("EncryptionContext")]:
        del exchange.asked[name]


def accept(*codes: str, **answer: str) -> Change:
    """Answer refusals with these codes with a success."""

    def change(exchange: Exchange) -> None:
        if exchange.refused in codes:
            exchange.status, exchange.answer, exchange.text = 200, dict(answer), "" if answer else " "

    return change


def refuse_as(code: str, other: str, status: int = 400) -> Change:
    """Refuse with another code or status than the right one."""

    def change(exchange: Exchange) -> None:
        if exchange.refused == code:
            exchange.status, exchange.answer = status, {**exchange.answer, "__type": other}

    return change


def show(operation: str, path: str, value: object) -> Change:
    """Answer an operation with another value of a member; ``None`` leaves it out."""
    *above, name = path.split(".")

    def change(exchange: Exchange) -> None:
        if exchange.operation != operation or exchange.refused:
            return
        place = exchange.answer
        for step in above:
            place = place[step]
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value

    return change


def cut_bytes(operation: str, member: str) -> Change:
    """Leave the last byte of a member out."""

    def change(exchange: Exchange) -> None:
        if exchange.operation == operation and member in exchange.answer:
            octets = base64.b64decode(exchange.answer[member])[:-1]
            exchange.answer[member] = base64.b64encode(octets).decode()

    return change


def one_less(operation: str, member: str) -> Change:
    """Leave the last entry out of a list."""

    def change(exchange: Exchange) -> None:
        if exchange.operation == operation and exchange.answer.get(member):
            exchange.answer[member].pop()

    return change


def repeat_first(operation: str, member: str) -> Change:
    """Give the first answer's member in every answer."""

    def change(exchange: Exchange) -> None:
        if exchange.operation == operation and member in exchange.answer:
            exchange.answer[member] = exchange.memory.setdefault(member, exchange.answer[member])

    return change


def no_type(exchange: Exchange) -> None:
    """Refuse without a type."""
    exchange.answer.pop("__type", None)


def page(exchange: Exchange) -> None:
    """Refuse with a page for browsers."""
    if exchange.refused:
        exchange.text = "<html><body>Bad Request</body></html>"


def echo(exchange: Exchange) -> None:
    """Repeat the plaintext in a refusal."""
    if exchange.refused and "Plaintext" in exchange.asked:
        exchange.answer["message"] = f"cannot encrypt {exchange.asked['Plaintext']}"


def cut(exchange: Exchange) -> None:
    """Answer with a document whose end is missing."""
    if exchange.operation == "Decrypt" and not exchange.refused:
        exchange.text = json.dumps(exchange.answer)[:-5]


def fault(exchange: Exchange) -> None:
    """Answer refusals with a fault of the server."""
    if exchange.refused:
        exchange.status, exchange.answer = 500, {"__type": "UnhandledException", "message": "oops"}


def not_by_arn(*operations: str) -> Change:
    """Answer operations on an ARN with empty lists and no description."""

    def change(exchange: Exchange) -> None:
        if exchange.operation in operations and str(exchange.asked.get("KeyId", "")).startswith("arn:"):
            exchange.answer = {
                name: []
                if isinstance(value, list)
                else {**value, "Description": ""}
                if isinstance(value, dict)
                else ""
                for name, value in exchange.answer.items()
            }

    return change


def half_done(operation: str, shows: str, path: str) -> Change:
    """After an operation was refused, show another value of a member, as if it had been done in part."""

    def change(exchange: Exchange) -> None:
        if exchange.operation == operation and exchange.refused:
            exchange.memory["done"] = True
        elif exchange.memory.get("done"):
            show(shows, path, "Disabled" if path.endswith("State") else [])(exchange)

    return change


OTHER = base64.b64encode(b"quite another plaintext").decode()

DEFECTS: Mapping[str, Defect] = {
    "context-ignored": Defect("context.other_context[value]", BOTH, before=without_contexts),
    "context-optional": Defect("context.no_context", MOTO, before=without_contexts),
    "garbage-opens": Defect(
        "context.other_context[more]",
        BOTH,
        after=accept("InvalidCiphertextException", Plaintext=OTHER, KeyId="arn:aws:kms:x:1:key/1"),
    ),
    "corrupt-with-another-code": Defect(
        "context.other_context[fewer]",
        BOTH,
        after=refuse_as("InvalidCiphertextException", "ValidationException"),
    ),
    "missing-with-another-status": Defect(
        "keys.use_of_no_key[DescribeKey]",
        BOTH,
        after=refuse_as("NotFoundException", "NotFoundException", 404),
    ),
    "missing-key-accepted": Defect(
        "keys.use_of_no_key[DescribeKey]", BOTH, after=accept("NotFoundException")
    ),
    "errors-without-type": Defect("keys.use_of_no_key[DescribeKey]", BOTH, after=no_type),
    "errors-as-pages": Defect("keys.use_of_no_key[DescribeKey]", BOTH, after=page),
    "errors-as-faults": Defect("keys.use_of_no_key[DescribeKey]", BOTH, after=fault),
    "plaintext-echoed": Defect("keys.use_of_no_key[Encrypt]", BOTH, after=echo),
    "answers-cut": Defect("context.order", BOTH, after=cut),
    "other-plaintext": Defect("context.order", BOTH, after=show("Decrypt", "Plaintext", OTHER)),
    "one-ciphertext": Defect(
        "cryptography.two_ciphertexts", BOTH, after=repeat_first("Encrypt", "CiphertextBlob")
    ),
    "one-data-key": Defect(
        "data_keys.two_data_keys", BOTH, after=repeat_first("GenerateDataKey", "Plaintext")
    ),
    "data-key-too-short": Defect(
        "data_keys.data_key[AES_256]", BOTH, after=cut_bytes("GenerateDataKey", "Plaintext")
    ),
    "data-key-shown": Defect(
        "data_keys.data_key_without_plaintext",
        BOTH,
        after=show("GenerateDataKeyWithoutPlaintext", "Plaintext", OTHER),
    ),
    "random-too-short": Defect(
        "data_keys.random_bytes[32]", MOTO, after=cut_bytes("GenerateRandom", "Plaintext")
    ),
    "re-encrypt-shows-plaintext": Defect(
        "cryptography.re_encrypt", MOTO, after=show("ReEncrypt", "Plaintext", OTHER)
    ),
    "re-encrypt-drops-context": Defect(
        "cryptography.re_encrypt", MOTO, before=without("ReEncrypt", "DestinationEncryptionContext")
    ),
    "disable-without-effect": Defect("keys.disable_and_enable", BOTH, before=swallow("DisableKey")),
    "enable-without-effect": Defect("keys.disable_and_enable", BOTH, before=swallow("EnableKey")),
    "cancel-without-effect": Defect("deletion.cancel", BOTH, before=swallow("CancelKeyDeletion")),
    "cancel-enables": Defect(
        "deletion.cancel", BOTH, after=show("DescribeKey", "KeyMetadata.KeyState", "Enabled")
    ),
    "cancel-keeps-date": Defect(
        "deletion.cancel", BOTH, after=show("DescribeKey", "KeyMetadata.DeletionDate", 1.0)
    ),
    "alias-made-twice": Defect("aliases.alias_twice[same]", BOTH, after=accept("AlreadyExistsException")),
    "alias-not-moved": Defect("aliases.alias_update", BOTH, before=swallow("UpdateAlias")),
    "alias-not-deleted": Defect("aliases.deleted_alias", BOTH, before=swallow("DeleteAlias")),
    "alias-left-out": Defect("aliases.alias", BOTH, after=one_less("ListAliases", "Aliases")),
    "tags-not-set": Defect("tags.tags", BOTH, before=swallow("TagResource")),
    "tags-not-removed": Defect("tags.tags", BOTH, before=swallow("UntagResource")),
    "description-not-changed": Defect("tags.description", BOTH, before=swallow("UpdateKeyDescription")),
    "policy-unnamed": Defect(
        "policies.default_policy", BOTH, after=show("ListKeyPolicies", "PolicyNames", ["other"])
    ),
    "grant-not-revoked": Defect("grants.revoked_grant", MOTO, before=swallow("RevokeGrant")),
    "grant-not-retired": Defect("grants.retired_grant[token]", MOTO, before=swallow("RetireGrant")),
    "rotation-not-enabled": Defect("rotation.rotation_status", BOTH, before=swallow("EnableKeyRotation")),
    "signature-not-valid": Defect(
        "signatures.signature[RSA_2048]", BOTH, after=show("Verify", "SignatureValid", value=False)
    ),
    "spec-not-kept": Defect(
        "keys.specs[RSA-encryption]", BOTH, after=show("DescribeKey", "KeyMetadata.KeySpec", "RSA_4096")
    ),
    **{
        f"arn-not-known-{operation}": Defect(
            f"laws.id_and_arn[{operation}]", BOTH, after=not_by_arn(operation)
        )
        for operation in ("DescribeKey", "GetKeyPolicy", "ListAliases", "ListKeyPolicies", "ListResourceTags")
    },
    "alias-described-otherwise": Defect(
        "laws.alias_is_described[alias]",
        BOTH,
        before=lambda exchange: exchange.memory.update(
            by_alias=str(exchange.asked.get("KeyId", "")).startswith("alias/")
        ),
        after=lambda exchange: (
            show("DescribeKey", "KeyMetadata.Description", "")(exchange)
            if exchange.memory.get("by_alias")
            else None
        ),
    ),
    **{
        f"{operation}-half-done": Defect(
            f"laws.refused_change[{operation}]", servers, after=half_done(operation, shows, path)
        )
        for operation, servers, shows, path in (
            ("ScheduleKeyDeletion", MINISTACK, "DescribeKey", "KeyMetadata.KeyState"),
            ("UpdateAlias", BOTH, "ListAliases", "Aliases"),
            ("DeleteAlias", BOTH, "ListAliases", "Aliases"),
        )
    },
    "key-listed-without-id": Defect("keys.key_list", BOTH, after=one_less("ListKeys", "Keys")),
}


# --- whether it is seen ----------------------------------------------------------------------------------------------


def unseen(
    server: Server, url: str, folder: Path, results: Mapping[str, Any], proved: set[str]
) -> Iterator[str]:
    """Yield a line for each defect that its case does not see; a case that fails without the defect proves nothing.

    ``results`` tell how the server does without any; defects in ``proved`` are left out, those that are seen are added.
    """
    sound = {case["id"] for case in results["cases"] if case["verdict"] in {"passed", "warned"}}
    before = Path.cwd()
    os.chdir(folder)
    try:
        for name, defect in DEFECTS.items():
            if server.name not in defect.servers or name in proved:
                continue
            if f"aws_kms.{defect.case}" not in sound:
                yield f"{name}: {defect.case} fails without it"
                continue
            with broken(url, defect) as address:
                if verdict_of(server, address, defect.case) not in {Verdict.FAILED, Verdict.WARNED}:
                    yield f"{name}, though {defect.case} should"
                else:
                    proved.add(name)
    finally:
        os.chdir(before)


def verdict_of(server: Server, url: str, case: str) -> Verdict:
    """Run one case against an address; return its verdict."""
    target = build_target(tomllib.loads(target_text(url, server)), {})
    module, _, name = case.partition(".")
    place = f"{SCENARIOS}.test_{module}::test_{name}"
    run = run_cases(target, "--pyargs", place=place, contracts=("aws_kms",))
    (result,) = run.cases
    return result.verdict
