"""Small changes of a module's source, and how one is put into the functions of the running process."""

from __future__ import annotations

import ast
import copy
import gc
import types
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

_COMPARISONS: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_LONGEST = 150
"""Characters of source that a description quotes at most."""
Replaced = Iterator[tuple[str, ast.AST]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: its file, the first and last line of what is changed, a description and the changed module."""

    path: Path
    first: int
    last: int
    change: str
    tree: ast.Module


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield every change of what stands inside the functions of a file; raise :class:`SyntaxError` for no Python."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    # A function inside of another is walked twice.
    inside = {id(node): node for function in functions for part in function.body for node in ast.walk(part)}
    for node in inside.values():
        for change, replaced in changes_of(node):
            first = getattr(node, "lineno", 0)
            yield Mutant(path, first, getattr(node, "end_lineno", first), change, _with(tree, node, replaced))


def _with(tree: ast.Module, node: ast.AST, replaced: ast.AST) -> ast.Module:
    at_place = ast.fix_missing_locations(ast.copy_location(replaced, node))
    return ast.fix_missing_locations(copy.deepcopy(tree, {id(node): at_place}))


@singledispatch
def changes_of(_: ast.AST) -> Replaced:
    """Yield a description and a replacement for each change of a node."""
    yield from ()


@changes_of.register
def _(node: ast.Compare) -> Replaced:
    for place, operator in enumerate(node.ops):
        other = _COMPARISONS[type(operator)]
        changed = copy.deepcopy(node)
        changed.ops[place] = other()
        yield f"{type(operator).__name__} -> {other.__name__}: {_text(node)}", changed


@changes_of.register
def _(node: ast.BoolOp) -> Replaced:
    for value in node.values:
        rest = [other for other in node.values if other is not value]
        yield (
            f"without `{_text(value)}`: {_text(node)}",
            rest[0] if not rest[1:] else ast.BoolOp(node.op, rest),
        )


@changes_of.register
def _(node: ast.UnaryOp) -> Replaced:
    if isinstance(node.op, ast.Not):
        yield f"without not: {_text(node)}", node.operand


@changes_of.register
def _(node: ast.IfExp) -> Replaced:
    yield f"always the first: {_text(node)}", node.body
    yield f"always the second: {_text(node)}", node.orelse


@changes_of.register
def _(node: ast.If) -> Replaced:
    for value in (True, False):
        changed = copy.deepcopy(node)
        changed.test = ast.Constant(value)
        yield f"if {value} instead of: {_text(node.test)}", changed


@changes_of.register
def _(node: ast.Constant) -> Replaced:
    if isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield f"{node.value} -> {node.value + 1}", ast.Constant(node.value + 1)
        if node.value:
            yield f"{node.value} -> {node.value - 1}", ast.Constant(node.value - 1)


@changes_of.register
def _(node: ast.BinOp) -> Replaced:
    if isinstance(node.op, ast.Add | ast.Sub):
        changed = copy.deepcopy(node)
        changed.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield f"other sign: {_text(node)}", changed


@changes_of.register
def _(node: ast.Call) -> Replaced:
    if isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        changed = copy.deepcopy(node)
        changed.func = ast.Name(_FUNCTIONS[node.func.id], ast.Load())
        yield f"{_FUNCTIONS[node.func.id]} instead of: {_text(node)}", changed


@changes_of.register
def _(node: ast.Dict) -> Replaced:
    for place, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
        changed = copy.deepcopy(node)
        del changed.keys[place], changed.values[place]
        yield f"without the member {_text(key) if key else f'**{_text(value)}'}", changed


@changes_of.register(ast.ListComp)
@changes_of.register(ast.SetComp)
@changes_of.register(ast.DictComp)
@changes_of.register(ast.GeneratorExp)
def _(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> Replaced:
    for number, part in enumerate(node.generators):
        for place, condition in enumerate(part.ifs):
            changed = copy.deepcopy(node)
            del changed.generators[number].ifs[place]
            yield f"without `if {_text(condition)}`: {_text(node)}", changed


@changes_of.register(ast.Raise)
@changes_of.register(ast.Delete)
@changes_of.register(ast.AugAssign)
def _(node: ast.stmt) -> Replaced:
    yield f"without: {_text(node)}", ast.Pass()


@changes_of.register
def _(node: ast.Expr) -> Replaced:
    if not isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom):
        yield f"without: {_text(node)}", ast.Pass()


@changes_of.register
def _(node: ast.Assign) -> Replaced:
    if not all(isinstance(target, ast.Name) for target in node.targets):
        yield f"without: {_text(node)}", ast.Pass()


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:_LONGEST]


def put_in(mutant: Mutant) -> bool:
    """Give the functions of this process the changed code; tell whether any has taken it."""
    path = str(mutant.path)
    before = compile(mutant.path.read_text(encoding="utf-8"), path, "exec")
    functions = _functions_of(path)
    taken = False
    for old, new in _changed(before, compile(mutant.tree, path, "exec")):
        for function in functions[_place(old)]:
            if function.__code__.co_freevars == new.co_freevars:
                function.__code__ = new
                taken = True
    return taken


def _functions_of(path: str) -> Mapping[tuple[str, int], list[types.FunctionType]]:
    gc.unfreeze()  # what a process has frozen when it was warm is not listed
    functions: dict[tuple[str, int], list[types.FunctionType]] = defaultdict(list)
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType) and thing.__code__.co_filename == path:
            functions[_place(thing.__code__)].append(thing)
    return functions


def _changed(
    before: types.CodeType, after: types.CodeType
) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    known = {_place(code): code for code in _inner(before)}
    for code in _inner(after):
        old = known.get(_place(code))
        if old is not None and (old.co_code, old.co_consts) != (code.co_code, code.co_consts):
            yield old, code


def _inner(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _inner(constant)


def _place(code: types.CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
