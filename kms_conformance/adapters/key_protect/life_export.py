"""A walk written down: as a script of curl lines that anyone can run, and as a case for the suite."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

_TYPE = "application/vnd.ibm.kms."
_SECONDS: Mapping[str, int] = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_ACTIONS: Mapping[str, tuple[str, str, str | None]] = {
    "metadata": ("GET", "/keys/$KEY/metadata", None),
    "get_key": ("GET", "/keys/$KEY", None),
    "versions": ("GET", "/keys/$KEY/versions", None),
    "wrap": ("POST", "/keys/$KEY/actions/wrap", '{"plaintext": "\'"$MATERIAL"\'", "aad": ["walk"]}'),
    "unwrap": ("POST", "/keys/$KEY/actions/unwrap", '{"ciphertext": "\'"$SEALED"\'", "aad": ["walk"]}'),
    "rewrap": ("POST", "/keys/$KEY/actions/rewrap", '{"ciphertext": "\'"$SEALED"\'", "aad": ["walk"]}'),
    "unwrap_other_aad": (
        "POST",
        "/keys/$KEY/actions/unwrap",
        '{"ciphertext": "\'"$SEALED"\'", "aad": ["talk"]}',
    ),
    "rotate": ("POST", "/keys/$KEY/actions/rotate", None),
    "disable": ("POST", "/keys/$KEY/actions/disable", None),
    "enable": ("POST", "/keys/$KEY/actions/enable", None),
    "delete": ("DELETE", "/keys/$KEY", None),
    "restore": ("POST", "/keys/$KEY/restore", None),
    "purge": ("DELETE", "/keys/$KEY/purge", None),
    "set_for_deletion": ("POST", "/keys/$KEY/actions/setKeyForDeletion", None),
    "unset_for_deletion": ("POST", "/keys/$KEY/actions/unsetKeyForDeletion", None),
    "require_two": (
        "PUT",
        "/keys/$KEY/policies",
        json.dumps(
            {
                "metadata": {"collectionType": f"{_TYPE}policy+json", "collectionTotal": 1},
                "resources": [{"type": f"{_TYPE}policy+json", "dualAuthDelete": {"enabled": True}}],
            }
        ),
    ),
}
_CALLS: Mapping[str, str] = {
    "metadata": "kms.get_metadata(key)",
    "get_key": "kms.get_key(key)",
    "versions": "kms.list_versions(key)",
    "wrap": 'kms.wrap(key, kms.key_material(), aad=["walk"])',
    "unwrap": 'kms.unwrap(key, sealed["ciphertext"], aad=["walk"])',
    "rewrap": 'kms.rewrap(key, sealed["ciphertext"], aad=["walk"])',
    "unwrap_other_aad": 'kms.unwrap(key, sealed["ciphertext"], aad=["talk"])',
    "rotate": "kms.rotate(key, payload=kms.key_material() if key.material else None)",
    "disable": "kms.disable(key)",
    "enable": "kms.enable(key)",
    "delete": "kms.delete_key(key)",
    "restore": "kms.restore_key(key, payload=key.material) if key.material else kms.restore_key(key)",
    "purge": 'kms.as_identity("purger").purge_key(key)',
    "set_for_deletion": "kms.set_for_deletion(key)",
    "unset_for_deletion": "kms.unset_for_deletion(key)",
    "require_two": 'kms.put_policy(key, dualAuthDelete={"enabled": True})',
}
_MAKES: Mapping[str, str] = {
    "imported": "kms.import_root_key()",
    "standard": "kms.create_standard_key()",
    "expiring": "kms.create_root_key(expirationDate=kms.later(7200))",
}


def curl_script(kind: str, steps: Sequence[str], expected: str, got: str) -> str:
    """Return a shell script that walks the same way; its last answer is the wrong one."""
    lines = [
        "#!/bin/sh",
        f"# Expected of the last answer: {expected}. Seen: {got}.",
        "# Set KMS_URL, KMS_INSTANCE and KMS_TOKEN; steps of others need KMS_APPROVER_TOKEN and KMS_PURGER_TOKEN.",
        'MATERIAL="${MATERIAL:-$(head -c 32 /dev/urandom | base64)}"',
        'pick() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }',
        "kms() {  # token, method, path, type, body",
        '  curl -sS -X "$2" "$KMS_URL/api/v2$3" -H "authorization: Bearer $1" -H "bluemix-instance: $KMS_INSTANCE" \\',
        '    ${5:+-H "content-type: $4" -d "$5"}',
        "}",
        _creation(kind),
    ]
    for place, step in enumerate(steps, 1):
        if step.startswith("wait "):
            lines.append(f"sleep {_seconds(step)}  # or move the endpoint's clock by its control protocol")
            continue
        act, _, who = step.partition(" as ")
        method, path, body = _ACTIONS[act]
        who = "purger" if act == "purge" else who
        token = f"$KMS_{who.upper()}_TOKEN" if who else "$KMS_TOKEN"
        media = f"{_TYPE}policy+json" if act == "require_two" else f"{_TYPE}key_action+json"
        if kind == "imported" and act == "rotate":
            body = '{"payload": "\'"$(head -c 32 /dev/urandom | base64)"\'"}'
        if kind == "imported" and act == "restore":
            media, body = f"{_TYPE}key+json", _collection('{"payload": "\'"$MATERIAL"\'"}')
        line = f'kms "{token}" {method} "{path}"' + (f" {media} '{body}'" if body else "")
        keeps = act in {"wrap", "rewrap"} and place < len(steps)
        lines.append(f"SEALED=$({line} | pick \"['ciphertext']\")" if keeps else f"{line}; echo")
    return "\n".join(lines) + "\n"


def case_file(kind: str, steps: Sequence[str], row: str, expected: str) -> str:
    """Return a module with one case that walks the same way and expects what should have come."""
    waits = sum(_seconds(step) for step in steps if step.startswith("wait "))
    # ``needed`` steps hold on the way; only the last answer is what the case is about.
    body = [f"key = {_MAKES.get(kind, 'kms.create_root_key()')}"]
    for place, step in enumerate(steps):
        if step.startswith("wait "):
            body.append(f'kms.wait({_seconds(step)}, "{step}")')
            continue
        act, _, who = step.partition(" as ")
        call = _CALLS[act].replace("kms.", f'kms.as_identity("{who}").') if who else _CALLS[act]
        last = place == len(steps) - 1
        target = "answer = " if last else "sealed = " if act in {"wrap", "rewrap"} else ""
        body.append(
            f"{target}{call}"
            if last
            else f"{target}({call}).needed()"
            if " if " in call
            else f"{target}{call}.needed()"
        )
    body.append(f"# expected: {expected}")
    body.append(_expectation(expected, row))
    imports = "covers, waits" if waits else "covers"
    marks = [f'@covers("{row}")', *([f"@waits({waits})"] if waits else [])]
    return "\n".join(
        [
            f'"""A walk that the fuzzer found: {kind} key, {shlex.join(steps)}."""',
            "",
            f"from kms_conformance.api import {imports}",
            "",
            "",
            *marks,
            f"def test_walk_{kind}(kms):",
            '    """After any sequence of actions a key answers as its state says."""',
            *(f"    {line}" for line in body),
            "",
        ]
    )


def _expectation(expected: str, row: str) -> str:
    if expected.startswith("success"):
        return "answer.succeeds()"
    statuses = sorted({word for word in expected.split() if word.isdigit() and len(word) == 3})  # noqa: PLR2004 - a status
    if not statuses:
        return f'raise AssertionError("{expected}")'
    return f'answer.is_refused_somehow({", ".join(statuses)}, control="{row}")'


def _seconds(step: str) -> int:
    _, number, unit = step.split()
    return int(number) * _SECONDS[unit]


def _collection(resource: str) -> str:
    return f'{{"metadata": {{"collectionType": "{_TYPE}key+json", "collectionTotal": 1}}, "resources": [{resource}]}}'


def _creation(kind: str) -> str:
    extractable = "true" if kind == "standard" else "false"
    members = f'"type": "{_TYPE}key+json", "name": "kmsct-walk", "extractable": {extractable}'
    if kind == "imported":
        members += ', "payload": "\'"$MATERIAL"\'"'
    if kind == "expiring":
        members += ', "expirationDate": "\'"$(date -u -d \'+2 hours\' +%Y-%m-%dT%H:%M:%SZ)"\'"'
    body = _collection(f"{{{members}}}")
    return f"KEY=$(kms \"$KMS_TOKEN\" POST /keys {_TYPE}key+json '{body}' | pick \"['resources'][0]['id']\")"
