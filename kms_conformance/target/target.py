"""The target: which endpoint, who we are there, and what we may do.

Read from a TOML file, overlaid by the environment (``KMS_*``), overlaid by flags; validated by
``schemas/target.schema.json``. Secrets are taken from the environment or from files; a literal one is accepted
for loopback addresses only.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kms_conformance.errors import (
    BadValueError,
    TargetFileError,
    UnknownTargetKeyError,
    did_you_mean,
)
from kms_conformance.system import System, default_systems, first_system, system_of, systems
from kms_conformance.target.connection import ConnectionSettings, connection_settings
from kms_conformance.target.identity import Identity, identity_of
from kms_conformance.target.schema import ENVIRONMENT, secret_members, tables, target_schema
from kms_conformance.target.urls import checked_url, is_loopback, shown_url

FRESH = "fresh"
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
    document = _read_file(path) if path else {}
    schema = target_schema()
    _refuse_unknown_keys(document, schema, schema, path or "")
    given = dict(flags or {})
    contract = given.get("contract") or environ.get("KMS_CONTRACT") or document.get("contract")
    system = system_of(str(contract).partition(",")[0]) if contract else first_system()
    document = _overlay(document, _from_environment(environ, schema, system))
    if PRINCIPAL in given.get("identities", {}):
        named = dict(given["identities"])
        given["identities"] = {**named, system.principal: named.pop(PRINCIPAL)}
        del given["identities"][PRINCIPAL]
    document = _overlay(document, given)
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
    limits = _table(document, "limits")
    rate = _number("limits.requests_per_second", limits.get("requests_per_second"), low=0, exclusive=True)
    max_wait = _number("limits.max_wait", limits.get("max_wait"), low=0)
    timeout = _number("limits.timeout", limits.get("timeout"), low=0, exclusive=True)
    patience = _number("limits.patience", limits.get("patience"), low=0)
    identities = {
        name: identity_of(name, _check_table(f"identities.{name}", entry), base_url, environ)
        for name, entry in _table(document, "identities").items()
    }
    iam_url = _optional_url(_table(document, "iam"), "url", "iam.url")
    if not iam_url and any(identity.api_key for identity in identities.values()):
        raise BadValueError("iam.url", "", "an API key needs a token issuer", "add [iam] url, or --iam-url")
    rescue_url = _optional_url(document, "rescue_url", "rescue_url").rstrip("/")
    if rescue_url and urlsplit(rescue_url).netloc.lower() == urlsplit(base_url).netloc.lower():
        # A lock-out would close both, with no way back.
        hint = "give the private endpoint, or leave rescue_url out."
        raise BadValueError("rescue_url", shown_url(rescue_url), "it is no other way in than base_url", hint)
    return Target(
        connection=connection_settings(document, environ, (base_url, iam_url, *_other_urls(document))),
        base_url=base_url,
        instance=_instance("instance", document.get("instance"), system),
        contract=system.id,
        iam_url=iam_url,
        control_url=_optional_url(_table(document, "control"), "url", "control.url").rstrip("/"),
        rescue_url=rescue_url,
        identities=identities,
        capabilities=_switches(document, "capabilities"),
        allow=_switches(document, "allow"),
        requests_per_second=rate if rate is not None else (None if is_loopback(base_url) else DEFAULT_RATE),
        max_wait=DEFAULT_MAX_WAIT if max_wait is None else max_wait,
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
        patience=DEFAULT_PATIENCE if patience is None else patience,
        others={name: _other(name, document[name]) for name in systems() if name in document},
    )


def _other_urls(document: Mapping[str, Any]) -> list[str]:
    return [
        str(_table(document, name)["base_url"]) for name in systems() if "base_url" in document.get(name, ())
    ]


def _other(name: str, value: Any) -> Mapping[str, Any]:
    """Check the table of a further contract."""
    table = _check_table(name, value)
    _refuse_unknown_keys({name: table}, target_schema(), target_schema(), "the target")
    system = system_of(name)
    if system.instance.key in table:
        _instance(f"{name}.{system.instance.key}", table[system.instance.key], system)
    for key, entry in table.items():
        if key.endswith("url"):
            checked_url(f"{name}.{key}", entry)
    return table


def _read_file(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))  # some editors put a mark first
    except FileNotFoundError:
        raise TargetFileError(path, "there is no such file") from None
    except OSError as error:
        raise TargetFileError(path, error.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise TargetFileError(path, "it is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise TargetFileError(path, f"it is not TOML ({error})") from None


def _refuse_unknown_keys(
    document: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str, prefix: str = ""
) -> None:
    """Refuse the first key that the schema does not know, with the nearest known one as a hint."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if not isinstance(document, Mapping) or schema.get("type") != "object":
        return
    named = schema.get("properties", {})
    names = [*named, *schema.get("propertyNames", {}).get("enum", [])]
    closed = schema.get("additionalProperties") is False or "propertyNames" in schema
    for key, value in document.items():
        if key not in names and closed:
            near = did_you_mean(key, names)
            hint = f"did you mean {prefix + near!r}?" if near else f"known here: {', '.join(names)}."
            raise UnknownTargetKeyError(path, prefix + key, hint)
        if key in named:
            _refuse_unknown_keys(value, named[key], root, path, f"{prefix}{key}.")


def _from_environment(
    environ: Mapping[str, str], schema: Mapping[str, Any], system: System
) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, place in {**ENVIRONMENT, **_variables_of_tables()}.items():
        if environ.get(name):
            value: Any = environ[name]
            if place in {("allow",), ("capabilities",)}:
                value = {
                    switch.strip().removeprefix("no-"): not switch.strip().startswith("no-")
                    for switch in value.split(",")
                }
            elif place[0] == "limits":
                value = _number(name, value, low=0)
            elif place == ("contract",):
                value = value.partition(",")[0]
            _put(document, place, value)
    for identity in schema["properties"]["identities"]["properties"]:
        stem = "KMS" if identity == system.principal else f"KMS_{identity.upper()}"
        for member in ("api_key", "token", *secret_members()):
            variable = f"{stem}_{member.upper()}"
            if environ.get(f"{variable}_FILE"):
                _put(document, ("identities", identity), {f"{member}_file": environ[f"{variable}_FILE"]})
            if environ.get(variable):
                _put(document, ("identities", identity), {f"{member}_env": variable})
    return document


def _variables_of_tables() -> dict[str, tuple[str, ...]]:
    """Return the environment variables of the tables of further contracts: ``KMS_<TABLE>_<KEY>``."""
    return {f"KMS_{'_'.join(place)}".upper(): place for place in tables()}


def _put(document: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for step in place[:-1]:
        document = document.setdefault(step, {})
    document[place[-1]] = value


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one document over another; an identity is replaced as a whole, so that no two sources of it mix."""
    merged = dict(below)
    for key, value in above.items():
        if key == "identities":
            merged[key] = {**merged.get(key, {}), **value}
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _overlay(merged[key], value)
        else:
            merged[key] = value
    return merged


def _instance(name: str, value: Any, system: System) -> str:
    """Check what keeps cases apart by the form that a system gives it."""
    form = system.instance
    fresh = f', or "{FRESH}" where the endpoint makes instances on first use' if form.fresh else ""
    advice = f"give {form.what}{fresh}."
    if value is None:
        if form.default is None:
            raise BadValueError(name, "", "it is missing", advice)
        return form.default
    if value == FRESH:
        if not form.fresh:
            raise BadValueError(name, FRESH, f"{system.id} makes no instances on first use", advice)
        return FRESH
    if not isinstance(value, str) or (form.pattern and not re.fullmatch(form.pattern, value)):
        raise BadValueError(name, str(value), f"that is not {form.what}", advice)
    return value


def _optional_url(document: Mapping[str, Any], key: str, name: str) -> str:
    return checked_url(name, document[key]) if key in document else ""


def _number(name: str, value: Any, *, low: float, exclusive: bool = False) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadValueError(
            name, str(value), "that is no number", "give seconds or a rate as a number."
        ) from None
    if isinstance(value, bool) or number != number or number < low or (exclusive and number == low):  # noqa: PLR0124 - NaN
        raise BadValueError(
            name,
            str(value),
            f"it must be {'above' if exclusive else 'at least'} {low:g}",
            "see docs/target.md.",
        )
    return number


def _switches(document: Mapping[str, Any], key: str) -> dict[str, bool]:
    names = target_schema()["properties"][key]["propertyNames"]["enum"]
    switches: dict[str, bool] = {}
    for name, value in _table(document, key).items():
        if name not in names:
            near = did_you_mean(name, names)
            # A flag or a variable said so: the keys of the file are known by now.
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(names)}."
            raise BadValueError(key, name, "there is no such name", hint)
        if not isinstance(value, bool):
            raise BadValueError(
                f"{key}.{name}", str(value), "it must be true or false", "write true or false without quotes."
            )
        switches[name] = value
    return switches


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return _check_table(key, document.get(key, {}))


def _check_table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        shown = "…" if name.startswith("identities") else str(value)
        raise BadValueError(name, shown, "it must be a table", f"write it as [{name}].")
    return value
