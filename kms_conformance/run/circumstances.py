"""The circumstances of a run, which every output tells: command line, machine, servers, roles, requests, remains."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kms_conformance.run.options import Options

_SECRET_OPTIONS = frozenset({"--token", "--api-key", "--sign"})
_SPELT = re.compile(r"(?:--?[A-Za-z][\w-]*)?=?")


def command_line(arguments: Sequence[str], clean: Callable[[str], str] = lambda text: text) -> list[str]:
    """Return a command line that may be shown: the program by its name, a word in the place of each secret.

    ``arguments`` are as in ``sys.argv``; ``clean`` takes out the secrets that the run knows.
    """
    if not arguments:
        return []
    shown, hidden = _program(arguments[0]), ""
    for argument in arguments[1:]:
        name, equals, _ = argument.partition("=")
        if hidden:
            shown.append(f"<{hidden}>")
            hidden = ""
        elif name in _SECRET_OPTIONS:
            shown.append(f"{name}=<{name.lstrip('-')}>" if equals else name)
            hidden = "" if equals else name.lstrip("-")
        else:
            shown.append(clean(_without_user(argument)))
    return shown


def environment() -> dict[str, str]:
    """Return Python and platform."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
    }


def options_block(options: Options) -> dict[str, Any]:
    """Return the options that the rest of the results does not show."""
    return {
        "max_wait": options.max_wait,
        "defects": list(options.defects),
        "variations": list(options.variations),
        "baseline": None if options.baseline is None else len(options.baseline),
        **({"challenge": options.challenge} if options.challenge else {}),
    }


def circumstances(
    traffic: Mapping[str, Any], roles: Mapping[str, Iterable[str]], left: Sequence[str] | None
) -> dict[str, Any]:
    """Return the blocks for the verdict object; ``left`` is ``None`` where remains were not looked for."""
    blocks = {
        "command_line": [],
        "environment": environment(),
        "servers": traffic["servers"],
        "identities": {name: {"roles": list(names)} for name, names in sorted(roles.items())},
        "requests": {name: traffic[name] for name in ("sent", "throttled", "waited_s")},
    }
    return blocks if left is None else {**blocks, "left_behind": list(left)}


def _program(path: str) -> list[str]:
    """Return the words by which a program is called: its name, or those for a module."""
    place = Path(path)
    is_module = place.name == "__main__.py"
    return [Path(sys.executable).name, "-m", place.parent.name] if is_module else [place.name]


def _without_user(argument: str) -> str:
    """Return an argument without the user and password that an address in it may hold."""
    start = _SPELT.match(argument)
    before = start[0] if start else ""
    try:
        url = urlsplit(argument[len(before) :])
        host = url.netloc.rpartition("@")[2]
        return argument if host == url.netloc else before + urlunsplit(url._replace(netloc=host))
    except ValueError:
        return argument
