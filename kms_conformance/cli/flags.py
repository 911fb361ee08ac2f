"""The flags that describe a target: every key of the target file has one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from kms_conformance.cli.table_options import click_option, named
from kms_conformance.errors import BadValueError
from kms_conformance.run.option_table import TARGET_OPTIONS
from kms_conformance.target.schema import tables, target_schema
from kms_conformance.target.target import PRINCIPAL

# Flag -> place in the target document.
_PLACES: Mapping[str, tuple[str, ...]] = {
    "base_url": ("base_url",),
    "instance": ("instance",),
    "rescue_url": ("rescue_url",),
    "iam_url": ("iam", "url"),
    "control_url": ("control", "url"),
    "requests_per_second": ("limits", "requests_per_second"),
    "max_wait": ("limits", "max_wait"),
    "timeout": ("limits", "timeout"),
    "patience": ("limits", "patience"),
    "ca_file": ("tls", "ca_file"),
    "client_cert": ("tls", "cert_file"),
    "client_key": ("tls", "key_file"),
    "proxy": ("proxy", "url"),
    "insecure": ("tls", "insecure"),
}


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of a target to a command."""
    for option in reversed(
        [
            click_option(named(TARGET_OPTIONS, "target")),
            click.option("--base-url", metavar="URL", help="Root of the service. [KMS_BASE_URL]"),
            click.option("--instance", metavar="ID", help='Instance, or "fresh". [KMS_INSTANCE]'),
            click.option(
                "--token",
                metavar="TOKEN",
                help="Token of the identity that may do everything; better: KMS_TOKEN.",
            ),
            click.option(
                "--api-key", metavar="KEY", help="API key of the same identity; better: KMS_API_KEY."
            ),
            click.option("--iam-url", metavar="URL", help="Token issuer. [KMS_IAM_URL]"),
            click.option("--control-url", metavar="URL", help="Control protocol. [KMS_CONTROL_URL]"),
            click.option("--rescue-url", metavar="URL", help="A second way in. [KMS_RESCUE_URL]"),
            click.option(
                "--contract",
                metavar="ID[,ID]",
                envvar="KMS_CONTRACT",
                help="Contracts to judge by. [KMS_CONTRACT]",
            ),
            click.option(
                "--identity",
                "identities",
                metavar="NAME[.KEY]=VALUE",
                multiple=True,
                help="A further identity; KEY is api_key_env (the default: a variable), api_key_file, token_env or token_file.",
            ),
            click.option(
                "--capability",
                "capabilities",
                metavar="[no-]NAME",
                multiple=True,
                help="What the endpoint has or lacks.",
            ),
            click.option("--allow", metavar="NAME", multiple=True, help="What may outlive a case."),
            click_option(named(TARGET_OPTIONS, "max_wait")),
            click.option(
                "--requests-per-second", type=float, metavar="N", help="Rate limit. [KMS_REQUESTS_PER_SECOND]"
            ),
            click.option(
                "--timeout", type=float, metavar="SECONDS", help="For one complete answer. [KMS_TIMEOUT]"
            ),
            click.option(
                "--patience",
                type=float,
                metavar="SECONDS",
                help="How long an outage is waited for. [KMS_PATIENCE]",
            ),
            click.option("--ca-file", metavar="FILE", help="Certificate authorities (PEM). [KMS_CA_FILE]"),
            click.option("--client-cert", metavar="FILE", help="Our certificate (PEM). [KMS_CLIENT_CERT]"),
            click.option("--client-key", metavar="FILE", help="Its key (PEM). [KMS_CLIENT_KEY]"),
            click.option(
                "--insecure", is_flag=True, default=None, help="Check no certificate; loopback only."
            ),
            click.option("--proxy", metavar="URL", help="An HTTP proxy. [KMS_PROXY]"),
            *(
                click.option(f"--{table}-{key}".replace("_", "-"), metavar="VALUE", help=f"[{table}] {key}")
                for table, key in tables()
            ),
        ]
    ):
        function = option(function)
    return function


def names_endpoint(flags: Mapping[str, Any]) -> bool:
    """Tell whether an endpoint is named: by a target file, by a flag or by the environment."""
    return bool(flags.get("target") or flags.get("base_url") or os.environ.get("KMS_BASE_URL"))


def flags_document(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags in the shape of a target document."""
    document: dict[str, Any] = {}
    for flag, place in _PLACES.items():
        if flags.get(flag) is not None:
            _put(document, place, flags[flag])
    if flags.get("contract"):
        document["contract"] = flags["contract"].partition(",")[0]
    secrets = {member: flags[member] for member in ("token", "api_key") if flags.get(member)}
    if secrets:
        # A secret given as a flag is the operator's own choice, so it is taken for any address.
        _put(
            document,
            ("identities", PRINCIPAL),
            {f"{member}_flag": value for member, value in secrets.items()},
        )
    for pair in flags.get("identities") or ():
        _identity(document, pair)
    for table, key in tables():
        if flags.get(f"{table}_{key}") is not None:
            _put(document, (table, key), flags[f"{table}_{key}"])
    for switch in flags.get("capabilities") or ():
        _put(document, ("capabilities", switch.removeprefix("no-")), not switch.startswith("no-"))
    for switch in flags.get("allow") or ():
        _put(document, ("allow", switch), True)
    return document


def _identity(document: dict[str, Any], pair: str) -> None:
    """Take in one ``--identity``; what stands behind the ``=`` may be a secret by mistake, so it is not repeated."""
    place, equals, value = pair.partition("=")
    name, _, key = place.partition(".")
    advice = "write --identity approver=KMS_APPROVER_API_KEY, or --identity approver.token_file=PATH."
    if not equals or not value:
        raise BadValueError("--identity", "…", "it has no = with a value behind it", advice)
    schema = target_schema()
    members = schema["$defs"]["identity"]["properties"]
    if name not in schema["properties"]["identities"]["properties"]:
        raise BadValueError("--identity", name, "there is no such identity", advice)
    if (key or "api_key_env") not in members:
        raise BadValueError("--identity", place, f"the key must be one of {', '.join(members)}", advice)
    _put(document, ("identities", name, key or "api_key_env"), value)


def _put(document: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for step in place[:-1]:
        document = document.setdefault(step, {})
    document[place[-1]] = value
