"""Documents checked against JSON Schema files, with compiled validators."""

from __future__ import annotations

import json
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from kms_conformance.system import folder_of

if TYPE_CHECKING:
    from kms_conformance.evidence.exchange import JSON

SCHEMAS = "kms_conformance.schemas"
_BASE = "https://kms-conformance.invalid/schemas/"
_SUFFIX = ".schema.json"


class SchemaFiles:
    """The schemas of one system and those that come with the suite; each is compiled on first use.

    ``places`` are the system's folders, as ``package/folder``; they are looked through first.
    """

    def __init__(self, places: tuple[str, ...] = ()) -> None:
        self._places = places

    def complaint(self, schema: str, document: JSON) -> str | None:
        """Return the first complaint in one line, or ``None`` when the document is valid.

        A complaint names the place and the rule, never the value: a value may be secret.
        """
        validator = _validator(schema, self._places)
        if validator.is_valid(document):
            return None
        error = next(iter(validator.iter_errors(document)))
        place = "/".join(str(part) for part in error.instance_path) or "the body"
        rule = "/".join(str(part) for part in error.schema_path)
        return f"{place} breaks {rule}"


SCHEMA_FILES = SchemaFiles()


def load_schema(name: str, places: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a schema by the name of its file without the ending, from the first folder that has it."""
    candidates = [folder_of(place) / f"{name}{_SUFFIX}" for place in (*places, SCHEMAS)]
    file = next((candidate for candidate in candidates if candidate.is_file()), candidates[-1])
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


@cache
def _validator(name: str, places: tuple[str, ...]) -> jsonschema_rs.Validator:
    retriever = partial(_retrieve, places)
    return jsonschema_rs.validator_for(load_schema(name, places), retriever=retriever, validate_formats=False)


def _retrieve(places: tuple[str, ...], uri: str) -> dict[str, Any]:
    """Resolve a reference from one schema file to another, without any network."""
    return load_schema(uri.removeprefix(_BASE).rsplit("/", 1)[-1].removesuffix(_SUFFIX), places)
