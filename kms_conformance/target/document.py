"""The document of a target: read from a file, from the environment, and one laid over the other."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kms_conformance.errors import (
    TargetFileError,
    UnknownTargetKeyError,
    did_you_mean,
)
from kms_conformance.system import System
from kms_conformance.target.schema import ENVIRONMENT, secret_members, tables
from kms_conformance.target.values import (
    checked_number,
)


def read_document(path: str) -> dict[str, Any]:
    """Read a TOML file; raise :class:`TargetFileError`."""
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
    except (ValueError, RecursionError):  # a number of thousands of digits, lists a thousand deep
        raise TargetFileError(path, "a value in it is too large") from None


def refuse_unknown_keys(
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
            refuse_unknown_keys(value, named[key], root, path, f"{prefix}{key}.")


def from_environment(environ: Mapping[str, str], schema: Mapping[str, Any], system: System) -> dict[str, Any]:
    """Return the part of a document that ``KMS_*`` variables give; identities by their names, the system's first as ``KMS_``."""
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
                value = checked_number(name, value, low=0)
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


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one document over another; an identity is replaced as a whole, so that no two sources of it mix."""
    merged = dict(below)
    for key, value in above.items():
        if key == "identities":
            merged[key] = {**merged.get(key, {}), **value}
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = overlaid(merged[key], value)
        else:
            merged[key] = value
    return merged
