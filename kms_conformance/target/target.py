"""The target: which endpoint, who we are there, and what we may do.

Read from a TOML file, overlaid by the environment (``KMS_*``), overlaid by flags; validated by
``schemas/target.schema.json``. Secrets are taken from the environment or from files; a literal one is accepted
for loopback addresses only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from kms_conformance.errors import (
    BadValueError,
    TargetFileError,
)
from kms_conformance.system import System, default_systems, first_system, system_of, systems
from kms_conformance.target.connection import ConnectionSettings, connection_settings
from kms_conformance.target.document import from_environment, overlaid, read_document, refuse_unknown_keys
from kms_conformance.target.identity import Identity, identity_of
from kms_conformance.target.schema import target_schema
from kms_conformance.target.urls import checked_url, is_loopback, shown_url
from kms_conformance.target.values import (
    FRESH,
    checked_instance,
    checked_number,
    checked_switches,
    checked_table,
    optional_url,
    table_of,
)

PRINCIPAL = "*"
"""Stands among the identities of flags for the one that may do everything: which one that is, the contract decides."""
READ_ONLY, SAFE, FULL = "read-only", "safe", "full"
MODES = (READ_ONLY, SAFE, FULL)
"""What a run may send: nothing that changes anything; what changes its own things; what ``[allow]`` permits too."""
DEFAULT_RATE = 20.0
DEFAULT_MAX_WAIT = 360.0
DEFAULT_TIMEOUT = 15.0
DEFAULT_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint to judge. Times are seconds, ``patience`` is how long an outage is waited for; ``requests_per_second`` ``None`` means unlimited.

    ``others`` are the tables of further contracts by id; see :meth:`seen_by`, which sets ``main_url``.
    """

    base_url: str
    instance: str
    contract: str = field(default_factory=lambda: first_system().id)
    iam_url: str = ""
    control_url: str = ""
    rescue_url: str = ""
    identities: Mapping[str, Identity] = field(default_factory=dict)
    capabilities: Mapping[str, bool] = field(default_factory=dict)
    allow: Mapping[str, bool] = field(default_factory=dict)
    requests_per_second: float | None = None
    max_wait: float = DEFAULT_MAX_WAIT
    timeout: float = DEFAULT_TIMEOUT
    patience: float = DEFAULT_PATIENCE
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    embedded: bool = False
    connection: ConnectionSettings = field(default_factory=ConnectionSettings)
    main_url: str = ""
    mode: str = FULL
    unused: tuple[str, ...] = ()
    """The switches under ``[allow]`` that the mode leaves without effect."""

    @property
    def loopback(self) -> bool:
        """Whether the endpoint is on this machine."""
        return is_loopback(self.base_url)

    @property
    def fresh(self) -> bool:
        """Whether each case gets an instance of its own."""
        return self.instance == FRESH

    @property
    def contracts(self) -> tuple[str, ...]:
        """The contracts that the target can be judged by: its own, and those that it has a table for."""
        return (self.contract, *(name for name in self.others if name != self.contract))

    @property
    def system(self) -> System:
        """The system of the present contract."""
        return system_of(self.contract)

    @property
    def principal(self) -> Identity | None:
        """The identity that may do everything, where the target names it."""
        return self.identities.get(self.system.principal)

    @property
    def table(self) -> Mapping[str, Any]:
        """The table of the present contract."""
        return self.others.get(self.contract, {})

    def seen_by(self, contract: str) -> Target:
        """Return the target as a contract sees it: with the address and the instance of the contract's own table.

        A target without such a table is seen as it is.
        """
        table = self.others.get(contract)
        if table is None:
            return replace(self, contract=contract, main_url=self.base_url)
        form = system_of(contract).instance
        shared = self.instance if form.key == "instance" else form.default or ""
        instance = table.get(form.key, shared)
        base_url = str(table.get("base_url", self.base_url)).rstrip("/")
        return replace(
            self, contract=contract, base_url=base_url, instance=str(instance), main_url=self.base_url
        )

    @property
    def in_clear(self) -> tuple[str, ...]:
        """The hosts to which tokens and keys would travel without TLS: by http, and not on this machine."""
        urls = {
            self.base_url,
            self.iam_url,
            *(str(table.get("base_url", "")) for table in self.others.values()),
        }
        exposed = [url for url in urls if url.startswith("http://") and not is_loopback(url)]
        return tuple(sorted({urlsplit(url).hostname or "" for url in exposed}))

    def in_mode(self, mode: str) -> Target:
        """Return the target with what a mode takes away from it; ``""``: ``full`` on this machine, ``safe`` elsewhere.

        Beyond ``full`` nothing under ``[allow]`` has an effect; a run that reads only moves no clock either.
        """
        mode = mode or (FULL if self.loopback else SAFE)
        if mode == FULL:
            return replace(self, mode=mode)
        unused = self.unused or tuple(sorted(name for name, on in self.allow.items() if on))
        control_url = "" if mode == READ_ONLY else self.control_url
        return replace(self, mode=mode, allow={}, unused=unused, control_url=control_url)

    def secrets(self) -> dict[str, str]:
        """Return every secret of the target with a label for its token."""
        of_identities = {
            str(value): member.replace("api_key", "apikey")
            for identity in self.identities.values()
            for member, value in identity.secrets().items()
        }
        return {**self.connection.secrets(), **of_identities}

    def document(self) -> dict[str, Any]:
        """Return the target as a document with literal secrets, for a worker's pipe and nothing else."""
        identities = {
            name: {member: str(value) for member, value in identity.secrets().items()}
            for name, identity in self.identities.items()
        }
        limits = {"max_wait": self.max_wait, "timeout": self.timeout, "patience": self.patience}
        if self.requests_per_second:
            limits["requests_per_second"] = self.requests_per_second
        document: dict[str, Any] = {
            "base_url": self.base_url,
            "instance": self.instance,
            "contract": self.contract,
            "identities": identities,
            "capabilities": dict(self.capabilities),
            "allow": dict(self.allow),
            "limits": limits,
            **self.connection.document(),
            **self.others,
        }
        for name, url in (("iam", self.iam_url), ("control", self.control_url)):
            if url:
                document[name] = {"url": url}
        if self.rescue_url:
            document["rescue_url"] = self.rescue_url
        return document

    def public(self) -> dict[str, Any]:
        """Return what ``results.json`` says about the target: no secret, only names."""
        return {
            "base_url": self.base_url,
            "instance": self.instance,
            **({"contract": self.contract} if self.contract != first_system().id else {}),
            "iam_url": self.iam_url,
            "control": bool(self.control_url),
            **({"rescue_url": self.rescue_url} if self.rescue_url else {}),
            "identities": sorted(self.identities),
            "capabilities": dict(self.capabilities),
            "allow": {name: on for name, on in self.allow.items() if on},
            **{
                name: {key: table[key] for key in system_of(name).shown if key in table}
                for name, table in self.others.items()
            },
            "limits": {"requests_per_second": self.requests_per_second, "max_wait": self.max_wait},
            **({"proxy": self.connection.proxy} if self.connection.proxy else {}),
            **({"insecure": True} if self.connection.insecure else {}),
            **({"mode": self.mode, "without_effect": list(self.unused)} if self.mode != FULL else {}),
        }


def contracts_by_default(target: Target | None) -> tuple[str, ...]:
    """Return what a run judges unless it is told: what the target has tables for; without one, what is there by default."""
    return default_systems() if target is None else target.contracts


def read_target(
    path: str | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Target:
    """Read a target from a file, the environment and flags, in this order of growing weight.

    ``flags`` has the shape of the document. Raises :class:`TargetFileError`, :class:`UnknownTargetKeyError`,
    :class:`BadValueError` or :class:`MissingSecretError`.
    """
    document = read_document(path) if path else {}
    schema = target_schema()
    refuse_unknown_keys(document, schema, schema, path or "")
    given = dict(flags or {})
    contract = given.get("contract") or environ.get("KMS_CONTRACT") or document.get("contract")
    system = system_of(str(contract).partition(",")[0]) if contract else first_system()
    document = overlaid(document, from_environment(environ, schema, system))
    if PRINCIPAL in given.get("identities", {}):
        named = dict(given["identities"])
        given["identities"] = {**named, system.principal: named.pop(PRINCIPAL)}
        del given["identities"][PRINCIPAL]
    document = overlaid(document, given)
    return build_target(document, environ, where=path or "the target")


def build_target(
    document: Mapping[str, Any], environ: Mapping[str, str] = os.environ, where: str = "the target"
) -> Target:
    """Build a target from a document; see :func:`read_target` for the errors raised."""
    base_url = document.get("base_url")
    if base_url is None:
        raise TargetFileError(where, "it has no base_url")
    base_url = checked_url("base_url", base_url).rstrip("/")
    system = system_of(str(document["contract"])) if "contract" in document else first_system()
    limits = table_of(document, "limits")
    rate = checked_number(
        "limits.requests_per_second", limits.get("requests_per_second"), low=0, exclusive=True
    )
    max_wait = checked_number("limits.max_wait", limits.get("max_wait"), low=0)
    timeout = checked_number("limits.timeout", limits.get("timeout"), low=0, exclusive=True)
    patience = checked_number("limits.patience", limits.get("patience"), low=0)
    identities = {
        name: identity_of(name, checked_table(f"identities.{name}", entry), base_url, environ)
        for name, entry in table_of(document, "identities").items()
    }
    iam_url = optional_url(table_of(document, "iam"), "url", "iam.url")
    if not iam_url and any(identity.api_key for identity in identities.values()):
        raise BadValueError("iam.url", "", "an API key needs a token issuer", "add [iam] url, or --iam-url")
    rescue_url = optional_url(document, "rescue_url", "rescue_url").rstrip("/")
    if rescue_url and urlsplit(rescue_url).netloc.lower() == urlsplit(base_url).netloc.lower():
        # A lock-out would close both, with no way back.
        hint = "give the private endpoint, or leave rescue_url out."
        raise BadValueError("rescue_url", shown_url(rescue_url), "it is no other way in than base_url", hint)
    return Target(
        connection=connection_settings(document, environ, (base_url, iam_url, *_other_urls(document))),
        base_url=base_url,
        instance=checked_instance("instance", _instance(document, system), system),
        contract=system.id,
        iam_url=iam_url,
        control_url=optional_url(table_of(document, "control"), "url", "control.url").rstrip("/"),
        rescue_url=rescue_url,
        identities=identities,
        capabilities=checked_switches(document, "capabilities"),
        allow=checked_switches(document, "allow"),
        requests_per_second=rate if rate is not None else (None if is_loopback(base_url) else DEFAULT_RATE),
        max_wait=DEFAULT_MAX_WAIT if max_wait is None else max_wait,
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
        patience=DEFAULT_PATIENCE if patience is None else patience,
        others={name: _other(name, document[name]) for name in systems() if name in document},
    )


def _instance(document: Mapping[str, Any], system: System) -> Any:
    """Return what a document says of the instance: where the main contract has a table and a key of its own, that counts."""
    key, table = system.instance.key, table_of(document, system.id)
    return table.get(key) if table and key != "instance" else document.get("instance")


def _other_urls(document: Mapping[str, Any]) -> list[str]:
    return [
        str(table_of(document, name)["base_url"])
        for name in systems()
        if "base_url" in document.get(name, ())
    ]


def _other(name: str, value: Any) -> Mapping[str, Any]:
    """Check the table of a further contract."""
    table = checked_table(name, value)
    refuse_unknown_keys({name: table}, target_schema(), target_schema(), "the target")
    system = system_of(name)
    if system.instance.key in table:
        checked_instance(f"{name}.{system.instance.key}", table[system.instance.key], system)
    for key, entry in table.items():
        if key.endswith("url"):
            checked_url(f"{name}.{key}", entry)
    return table
