"""Static pages beside the report: one file each, the report's style, no script, nothing from the network."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from kms_conformance.outputs.text import duration_text, plural, visible

TEMPLATES = "kms_conformance.reports"


def template_of(name: str) -> Template:
    """Return one of the report's templates."""
    return _environment().get_template(name)


def page(template: str, **values: Any) -> str:
    """Return a page of one of the report's templates."""
    style = Markup(_source("report.css"))  # noqa: S704 - our own file
    return template_of(template).render(style=style, **values)


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_source),
    )
    environment.filters |= {"visible": visible, "took": duration_text, "capitalize_first": _capitalized}
    environment.globals["plural"] = plural
    return environment


@cache
def _source(name: str) -> str:
    return (files(TEMPLATES) / "templates" / name).read_text(encoding="utf-8")


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
