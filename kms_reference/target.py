"""The target file of a running reference: everything the suite needs to judge it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kms_reference.server import Server

CAPABILITIES: Final = (
    "registrations",
    "import_tokens",
    "key_rings",
    "aliases",
    "dual_auth",
    "kmip",
    "allowed_ip",
    "instance_policies",
    "faults",
)
ALLOWANCES: Final = (
    "instance_policies",
    "allowed_ip",
    "import_token",
    "dual_auth_litter",
    "raw",
    "zeroize",
    "credentials",
    "clusters",
)
OTHERS: Final = {"hpcs_tke": "instance", "iks": "account"}
"""The other systems on the same socket, and what keeps cases apart there."""


def target_text(server: Server) -> str:
    """Return the target file as TOML text."""
    lines = [
        "# Written by `kms-conformance serve`. The API keys are worth nothing outside this server.",
        f"base_url = {_quoted(server.base_url)}",
        'contract = "key_protect"',
        'instance = "fresh"',
        "",
        "[iam]",
        f"url = {_quoted(server.iam_url)}",
    ]
    for name, api_key in server.api_keys.items():
        lines += ["", f"[identities.{name}]", f"api_key = {_quoted(api_key)}"]
    if server.moves_clocks:
        lines += ["", "[control]", f"url = {_quoted(server.control_url)}"]
    # Without the control protocol no fault can be put in.
    able = [name for name in CAPABILITIES if name != "faults" or server.moves_clocks]
    lines += ["", "[capabilities]", *(f"{name} = true" for name in able)]
    lines += ["", "[allow]", *(f"{name} = true" for name in ALLOWANCES)]
    for name, fresh in OTHERS.items():
        lines += ["", f"[{name}]", f"base_url = {_quoted(server.base_url)}", f'{fresh} = "fresh"']
    return "\n".join(lines) + "\n"


def write_target(path: Path, server: Server) -> None:
    """Write the target file; a reader sees the old file or the whole new one, never a part."""
    folder = path.resolve().parent
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(target_text(server))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _quoted(text: str) -> str:
    # JSON's escapes are a subset of those of TOML's basic strings.
    return json.dumps(text)
