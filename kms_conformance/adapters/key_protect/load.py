"""What a load on Key Protect sends: reading and using one key of its own, and refusals that must stay right meanwhile."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from kms_conformance.adapters.key_protect.actions import ACTION
from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.base import ROOT
from kms_conformance.run.load_operation import LoadOperation

# A weight each: a service that uses a KMS unwraps far more often than it does anything else.
_WEIGHTS = {
    "unwrap": 8,
    "wrap": 4,
    "read metadata": 3,
    "list keys": 1,
    "read a key that is not there": 2,
}


def operations(kms: KeyProtect) -> list[LoadOperation]:
    """Return what is sent; makes the key that it is about. None of it changes anything."""
    key = kms.create_root_key()
    plaintext = base64.b64encode(bytes(range(32))).decode()
    ciphertext = str(kms.wrap(key, plaintext).succeeds().body["ciphertext"])
    use, read = {"content-type": ACTION}, {"accept": "application/json"}
    own, nobody = f"{ROOT}/keys/{key}", f"{ROOT}/keys/{uuid.uuid4()}"

    def operation(name: str, method: str, path: str, status: int, **more: Any) -> LoadOperation:
        headers = {"bluemix-instance": kms.case.instance, **(use if method == "POST" else read)}
        return LoadOperation(name, _WEIGHTS[name], method, path, status, headers, **more)

    return [
        operation(
            "unwrap",
            "POST",
            f"{own}/actions/unwrap",
            200,
            body={"ciphertext": ciphertext},
            equals={"plaintext": plaintext},
        ),
        operation("wrap", "POST", f"{own}/actions/wrap", 200, body={"plaintext": plaintext}),
        operation("read metadata", "GET", f"{own}/metadata", 200),
        operation("list keys", "GET", f"{ROOT}/keys?limit=10", 200),
        operation("read a key that is not there", "GET", f"{nobody}/metadata", 404, code="KEY_NOT_FOUND_ERR"),
    ]
