"""The model by which histories are judged, as one text for a script: its modules, as far as they need Python alone.

What several clients were answered at once is lawful where some order of their requests explains it. No single answer shows
that, so a script brings the model along: the module that the contract names (``laws.histories``), and whatever it imports.
"""

from __future__ import annotations

import ast
import base64
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from kms_conformance.contract.contract import load_contract

_OWN = "kms_conformance"
_CONTRACT = "kms_conformance.contract.contract"
"""The one module that stands in a script in another form: of a contract, a model wants paths of operations and texts of codes."""
_OF_CODE = ("documented", "messages", "patterns", "detail")
_LINE = 110


@cache
def packed_model(contract: str) -> tuple[str, ...]:
    """Return the sources of a contract's model by module, as JSON, deflated, in lines of base64.

    None where it has no model, or one that needs more than the standard library.
    """
    stated = load_contract(contract)
    function = str(stated.about.get("laws", {}).get("histories", ""))
    paths = {name: {"path": operation.path} for name, operation in stated.operations.items()}
    codes = {
        name: {member: getattr(code, member) for member in _OF_CODE} for name, code in stated.codes.items()
    }
    of_contract = (
        "from types import SimpleNamespace\n"
        "def _named(things):\n"
        "    return {name: SimpleNamespace(**members) for name, members in things.items()}\n"
        f"_CONTRACT = SimpleNamespace(operations=_named({paths!r}), codes=_named({codes!r}),\n"
        f"    reason=SimpleNamespace(text={stated.reason.text!r}))\n"
        "def load_contract(name):\n    return _CONTRACT\n"
    )
    return packed_modules(function, {_CONTRACT: of_contract})


def packed_modules(function: str, others: Mapping[str, str] = MappingProxyType({})) -> tuple[str, ...]:
    """Return the sources of the module that ``module:name`` names, and of what it imports, in the same form.

    ``others`` stand in the place of some. None where one needs more than the standard library.
    """
    sources: dict[str, str] = {}
    waiting = [function.partition(":")[0]] if function else []
    while waiting:
        name = waiting.pop()
        if name in sources or name in others:
            continue
        text = _source_of(name)
        if text is None:
            return ()
        sources[name] = text
        imported = list(_imports(text))
        if any(
            not one.startswith(_OWN) and one.partition(".")[0] not in sys.stdlib_module_names
            for one in imported
        ):
            return ()
        waiting += [one for one in imported if one.startswith(f"{_OWN}.")]
    if not sources:
        return ()
    sources |= others
    packed = base64.b64encode(zlib.compress(json.dumps([function, sources]).encode("ascii"), 9)).decode(
        "ascii"
    )
    return tuple(packed[start : start + _LINE] for start in range(0, len(packed), _LINE))


def _source_of(name: str) -> str | None:
    """Return the source of a module, ``None`` where it is none of Python's."""
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).read_text(encoding="utf-8")


def _imports(text: str) -> Iterator[str]:
    """Yield the modules that a source imports when it runs; of a package's names, those that are modules too."""
    tree = ast.parse(text)
    types = {inner for node in tree.body if _is_for_types(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            yield node.module
            if node.module.startswith(f"{_OWN}."):
                whole = (f"{node.module}.{alias.name}" for alias in node.names)
                yield from (name for name in whole if _is_module(name))


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False
