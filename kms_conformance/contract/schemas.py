"""Documents checked against the files of ``schemas/``, with compiled validators."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema_rs

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import JSON

SCHEMAS = "kms_conformance.schemas"
_BASE = "https://kms-conformance.invalid/schemas/"
_SUFFIX = ".schema.json"


class SchemaFiles:
    """The schemas that come with the suite; each is compiled on first use."""

    def complaint(self, schema: str, document: JSON) -> str | None:
        """Return the first complaint in one line, or ``None`` when the document is valid.

        A complaint names the place and the rule, never the value: a value may be secret.
        """
        validator = _validator(schema)
        if validator.is_valid(document):
            return None
        error = next(iter(validator.iter_errors(document)))
        place = "/".join(str(part) for part in error.instance_path) or "the body"
        rule = "/".join(str(part) for part in error.schema_path)
        return f"{place} breaks {rule}"


SCHEMA_FILES = SchemaFiles()


def load_schema(name: str) -> dict[str, Any]:
    """Return a schema by the name of its file without the ending."""
    document: dict[str, Any] = json.loads((files(SCHEMAS) / f"{name}{_SUFFIX}").read_text(encoding="utf-8"))
    return document


@cache
def _validator(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(load_schema(name), retriever=_retrieve, validate_formats=False)


def _retrieve(uri: str) -> dict[str, Any]:
    """Resolve a reference from one schema file to another, without any network."""
    return load_schema(uri.removeprefix(_BASE).rsplit("/", 1)[-1].removesuffix(_SUFFIX))
