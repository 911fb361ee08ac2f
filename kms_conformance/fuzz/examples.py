"""Where Hypothesis keeps what failed, so that the next run tries it first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis.database import DirectoryBasedExampleDatabase

from kms_conformance.errors import BadValueError

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase


def example_database(place: str) -> ExampleDatabase | None:
    """Return the database at a place: a folder or a ``redis://`` address; ``""`` keeps nothing.

    Raises :class:`BadValueError` where the address asks for a package that is not installed.
    """
    if not place:
        return None
    if not place.startswith(("redis://", "rediss://")):
        return DirectoryBasedExampleDatabase(place)
    try:
        # Hypothesis's module imports the client of Redis, which is an optional package.
        from hypothesis.extra import redis  # noqa: PLC0415
    except ImportError:
        hint = "install it: python -m pip install redis."
        raise BadValueError(
            "--example-database", place.partition("@")[2] or place, "the package redis is not installed", hint
        ) from None
    return redis.RedisExampleDatabase(redis.Redis.from_url(place))  # type: ignore[attr-defined]  # its own import
