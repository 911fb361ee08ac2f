"""The target: which endpoint, who we are there, and what we may do.

Read from a TOML file, overlaid by the environment (``KMS_*``), overlaid by flags; validated by
``schemas/target.schema.json``. Secrets are taken from the environment or from files; a literal one is accepted
for loopback addresses only.
"""

from __future__ import annotations

import os
import re
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kms_conformance.contract.contract import known_contracts
from kms_conformance.contract.schemas import load_schema
from kms_conformance.errors import (
    BadValueError,
    MissingSecretError,
    TargetFileError,
    UnknownTargetKeyError,
    did_you_mean,
)
from kms_conformance.redaction.redactor import Secret
from kms_conformance.target.urls import checked_url, is_loopback, shown_url

FRESH = "fresh"
DEFAULT_CONTRACT = "key_protect"
DEFAULT_RATE = 20.0
DEFAULT_MAX_WAIT = 360.0
DEFAULT_TIMEOUT = 15.0

# What reports tell of the table of a further contract.
_SHOWN = ("base_url", "instance", "account", "region", "resource_group")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")

# Environment variable -> place in the target document; identities follow the pattern KMS_<NAME>_API_KEY.
ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "KMS_BASE_URL": ("base_url",),
    "KMS_CONTRACT": ("contract",),
    "KMS_INSTANCE": ("instance",),
    "KMS_RESCUE_URL": ("rescue_url",),
    "KMS_IAM_URL": ("iam", "url"),
    "KMS_CONTROL_URL": ("control", "url"),
    "KMS_REQUESTS_PER_SECOND": ("limits", "requests_per_second"),
    "KMS_MAX_WAIT": ("limits", "max_wait"),
    "KMS_TIMEOUT": ("limits", "timeout"),
    "KMS_ALLOW": ("allow",),
    "KMS_CAPABILITIES": ("capabilities",),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody the endpoint knows: either an API key to fetch tokens with, or a token."""

    name: str
    api_key: Secret | None = None
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint to judge. Times are seconds; ``requests_per_second`` ``None`` means unlimited.

    ``others`` are the tables of further contracts by id; see :meth:`seen_by`, which sets ``main_url``.
    """

    base_url: str
    instance: str
    contract: str = DEFAULT_CONTRACT
    iam_url: str = ""
    control_url: str = ""
    rescue_url: str = ""
    identities: Mapping[str, Identity] = field(default_factory=dict)
    capabilities: Mapping[str, bool] = field(default_factory=dict)
    allow: Mapping[str, bool] = field(default_factory=dict)
    requests_per_second: float | None = None
    max_wait: float = DEFAULT_MAX_WAIT
    timeout: float = DEFAULT_TIMEOUT
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    embedded: bool = False
    main_url: str = ""

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
    def table(self) -> Mapping[str, Any]:
        """The table of the present contract."""
        return self.others.get(self.contract, {})

    def seen_by(self, contract: str, instance_key: str = "instance") -> Target:
        """Return the target as a contract sees it: with the address and the instance of the contract's own table.

        ``instance_key`` is what the contract calls the thing that keeps cases apart. A target without such a table is
        seen as it is.
        """
        table = self.others.get(contract)
        if table is None:
            return replace(self, contract=contract, main_url=self.base_url)
        instance = table.get(instance_key, self.instance if instance_key == "instance" else "")
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

    def secrets(self) -> dict[str, str]:
        """Return every secret of the target with a label for its token."""
        found: dict[str, str] = {}
        for identity in self.identities.values():
            if identity.api_key:
                found[str(identity.api_key)] = "apikey"
            if identity.token:
                found[str(identity.token)] = "token"
        return found

    def document(self) -> dict[str, Any]:
        """Return the target as a document with literal secrets, for a worker's pipe and nothing else."""
        identities = {
            name: {
                member: str(value)
                for member, value in (("api_key", identity.api_key), ("token", identity.token))
                if value is not None
            }
            for name, identity in self.identities.items()
        }
        limits = {"max_wait": self.max_wait, "timeout": self.timeout}
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
                name: {key: table[key] for key in _SHOWN if key in table}
                for name, table in self.others.items()
            },
            "limits": {"requests_per_second": self.requests_per_second, "max_wait": self.max_wait},
        }


def contracts_by_default(target: Target | None) -> tuple[str, ...]:
    """Return what a run judges unless it is told: what the target has tables for; without a target, everything."""
    if target is not None:
        return target.contracts
    return (DEFAULT_CONTRACT, *(name for name in known_contracts() if name != DEFAULT_CONTRACT))


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
    known = load_schema("target")
    _refuse_unknown_keys(document, known, known, path or "")
    document = _overlay(document, _from_environment(environ, known))
    document = _overlay(document, dict(flags or {}))
    return build_target(document, environ, where=path or "the target")


def build_target(
    document: Mapping[str, Any], environ: Mapping[str, str] = os.environ, where: str = "the target"
) -> Target:
    """Build a target from a document; see :func:`read_target` for the errors raised."""
    base_url = document.get("base_url")
    if base_url is None:
        raise TargetFileError(where, "it has no base_url")
    base_url = checked_url("base_url", base_url).rstrip("/")
    limits = _table(document, "limits")
    rate = _number("limits.requests_per_second", limits.get("requests_per_second"), low=0, exclusive=True)
    max_wait = _number("limits.max_wait", limits.get("max_wait"), low=0)
    timeout = _number("limits.timeout", limits.get("timeout"), low=0, exclusive=True)
    identities = {
        name: _identity(name, _check_table(f"identities.{name}", entry), base_url, environ)
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
        base_url=base_url,
        instance=_instance(document.get("instance")),
        contract=str(document.get("contract", DEFAULT_CONTRACT)),
        iam_url=iam_url,
        control_url=_optional_url(_table(document, "control"), "url", "control.url").rstrip("/"),
        rescue_url=rescue_url,
        identities=identities,
        capabilities=_switches(document, "capabilities"),
        allow=_switches(document, "allow"),
        requests_per_second=rate if rate is not None else (None if is_loopback(base_url) else DEFAULT_RATE),
        max_wait=DEFAULT_MAX_WAIT if max_wait is None else max_wait,
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
        others={name: _other(name, document[name]) for name in known_contracts() if name in document},
    )


def _other(name: str, value: Any) -> Mapping[str, Any]:
    """Check the table of a further contract."""
    table = _check_table(name, value)
    _refuse_unknown_keys({name: table}, load_schema("target"), load_schema("target"), "the target")
    for key, entry in table.items():
        if key.endswith("url"):
            checked_url(f"{name}.{key}", entry)
    return table


def _read_file(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))  # some editors put a mark first
    except FileNotFoundError:
        raise TargetFileError(path, "there is no such file") from None
    except OSError as wrong:
        raise TargetFileError(path, wrong.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise TargetFileError(path, "it is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as wrong:
        raise TargetFileError(path, f"it is not TOML ({wrong})") from None


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
            known = f"did you mean {prefix + near!r}?" if near else f"known here: {', '.join(names)}."
            raise UnknownTargetKeyError(path, prefix + key, known)
        if key in named:
            _refuse_unknown_keys(value, named[key], root, path, f"{prefix}{key}.")


def _from_environment(environ: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, place in {**ENVIRONMENT, **_variables_of_others(schema)}.items():
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
        stem = "KMS" if identity == "manager" else f"KMS_{identity.upper()}"
        for member in ("api_key", "token"):
            variable = f"{stem}_{member.upper()}"
            if environ.get(f"{variable}_FILE"):
                _put(document, ("identities", identity), {f"{member}_file": environ[f"{variable}_FILE"]})
            if environ.get(variable):
                _put(document, ("identities", identity), {f"{member}_env": variable})
    return document


def _variables_of_others(schema: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the environment variables of the tables of further contracts: ``KMS_<TABLE>_<KEY>``."""
    return {f"KMS_{'_'.join(place)}".upper(): place for place in places_of_others(schema)}


def places_of_others(schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return table and key of all that the tables of further contracts may hold."""
    tables = schema["properties"]
    return [
        (table, key) for table in known_contracts() if table in tables for key in tables[table]["properties"]
    ]


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


def _identity(name: str, entry: Mapping[str, Any], base_url: str, environ: Mapping[str, str]) -> Identity:
    api_key = _secret(name, "api_key", entry, base_url, environ)
    token = _secret(name, "token", entry, base_url, environ)
    if api_key is None and token is None:
        raise MissingSecretError(name, "the table names none")
    return Identity(name, api_key=api_key, token=token)


def _secret(
    identity: str, member: str, entry: Mapping[str, Any], base_url: str, environ: Mapping[str, str]
) -> Secret | None:
    if f"{member}_flag" in entry:
        value = str(entry[f"{member}_flag"]).strip()
    elif f"{member}_env" in entry:
        value = _of_variable(identity, member, str(entry[f"{member}_env"]), environ)
    elif f"{member}_file" in entry:
        value = _of_file(identity, str(entry[f"{member}_file"]))
    elif member in entry:
        if not is_loopback(base_url):
            raise MissingSecretError(identity, f"a literal {member} is accepted for loopback addresses only")
        value = str(entry[member]).strip()
        if not value:
            raise MissingSecretError(identity, f"its {member} is empty")
    else:
        return None
    value = value.removeprefix("Bearer ").strip() if member == "token" else value
    if not value.isascii() or not value.isprintable():
        raise MissingSecretError(identity, f"its {member} holds signs that no header can carry")
    return Secret(value)


def _of_variable(identity: str, member: str, variable: str, environ: Mapping[str, str]) -> str:
    value = environ.get(variable, "").strip()
    if not value:
        # Somebody may have put the secret itself where its variable belongs.
        shown = f" {variable}" if _VARIABLE.fullmatch(variable) else ""
        raise MissingSecretError(
            identity, f"the environment variable{shown} that {member}_env names is not set"
        )
    return value


def _of_file(identity: str, path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError):
        raise MissingSecretError(identity, f"the file {path!r} cannot be read") from None
    if not value:
        raise MissingSecretError(identity, f"the file {path!r} is empty")
    return value


def _instance(value: Any) -> str:
    advice = 'give the UUID of the instance, or "fresh" where the endpoint makes instances on first use.'
    if value is None:
        raise BadValueError("instance", "", "it is missing", advice)
    if value == FRESH:
        return FRESH
    try:
        parsed = uuid.UUID(str(value))
    except ValueError:
        raise BadValueError("instance", str(value), "that is no UUID", advice) from None
    if str(parsed) != str(value).lower():
        raise BadValueError("instance", str(value), "that is no UUID in its usual form", advice)
    return str(value)


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
    names = load_schema("target")["properties"][key]["propertyNames"]["enum"]
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
