"""Lists every public name of the `dify_oapi` package that is installed, as `surface.txt` keeps it.

    python compat/surface.py            writes surface.txt, of the `dify_oapi` of this Python, to the screen
    python compat/surface.py --check    tells where it differs from surface.txt (and differences.txt)

The list is the table that our `dify_oapi` is made from (`generate.py`), and what the made package is held to:
names and types are read from the source, routes and where a setter's value goes are found by trying. It needs
nothing but Python, so that it runs where the public package is installed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

HERE = Path(__file__).parent
SURFACE = HERE / "surface.txt"
DIFFERENCES = HERE / "differences.txt"

ABOUT = """\
# Every public name of dify-oapi2 1.1.2, as surface.py lists it. Our `dify_oapi` is made from this list by
# generate.py, with what differences.txt says is different on purpose.
#
# [module] under dify_oapi, then what it holds:
# model NAME(bases)       a field a line: name, type, default
# builder NAME            of the model or request before it. "sets every field": a setter for each, with the
#                         field's type; other setters with their parameters, in a request with their place
# request NAME            its method and address
# resource NAME           its calls; each has an async twin with an `a` before its name
# holder NAME             the attributes of a service: what client.chat.v1.chat leads through
# exports every class     a package hands out the classes of its modules
# NAME = value            an alias, a constant
# class NAME(bases)       a class outside of the services
"""

Table = dict[str, dict[str, list[str]]]
"""Module, header of an entry, lines of the entry: `{"core.const": {"UTF_8 = 'UTF-8'": []}}`."""

IMPLIED = ("builder", "build")  # every builder has them


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--check", action="store_true", help="compare with surface.txt, and tell how")
    options.add_argument("--ours", action="store_true", help="with --check: expect what differences.txt says")
    chosen = options.parse_args()
    found = surface()
    if not chosen.check:
        sys.stdout.write(written(found))
        return
    expected = ours() if chosen.ours else read(SURFACE.read_text("utf-8"))
    differing = list(compared(expected, found))
    print("\n".join(differing) or "The package and the list are the same.")
    sys.exit(bool(differing))


# The list as text


def written(table: Table) -> str:
    """The text of a table."""
    lines: list[str] = [ABOUT]
    for module, entries in table.items():
        lines += [f"[{module}]"]
        for header, details in entries.items():
            lines += [header, *(f"    {detail}" for detail in details)]
        lines += [""]
    return "\n".join(lines)


def read(text: str) -> Table:
    """The table that a text holds."""
    table: Table = {}
    entries: dict[str, list[str]] = {}
    details: list[str] = []
    for line in text.splitlines():
        if line.startswith("["):
            entries = table[line.strip("[]")] = {}
        elif line.startswith("    "):
            details.append(line.strip())
        elif line and not line.startswith("#"):
            details = entries[line] = []
    return table


def ours() -> Table:
    """The list with what is different on purpose: what our package has to be."""
    table = read(SURFACE.read_text("utf-8"))
    module = header = ""
    place = 0  # a new line stands where the old one stood
    for line in DIFFERENCES.read_text("utf-8").splitlines():
        if line.startswith("["):
            module, _, header = line.removeprefix("[").partition("] ")
            place = len(table.setdefault(module, {}).setdefault(header, []))
        elif line.startswith("+ "):
            table[module][header].insert(place, line[2:].strip())
        elif line.startswith("- "):
            place = table[module][header].index(line[2:].strip())
            del table[module][header][place]
        elif line == "-":
            del table[module][header]
    return table


def compared(expected: Table, found: Table) -> Iterator[str]:
    """A line for each difference: `-` is missing in what was found, `+` is new in it."""
    before, after = set(_flat(expected)), set(_flat(found))
    for mark, lines in (("-", before - after), ("+", after - before)):
        yield from (
            f"{mark} [{module}] {header} {detail}".rstrip() for module, header, detail in sorted(lines)
        )


def _flat(table: Table) -> Iterator[tuple[str, str, str]]:
    for module, entries in table.items():
        for header, details in entries.items():
            yield module, header, ""
            yield from ((module, header, detail) for detail in details)


# What the package holds


def surface() -> Table:
    """Every public name of the package that this Python finds under the name `dify_oapi`."""
    spec = importlib.util.find_spec("dify_oapi")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("There is no dify_oapi here: run this with the Python of the environment that has it.")
    root = Path(spec.submodule_search_locations[0])
    table: Table = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        name = ".".join(part for part in parts if part != "__init__")
        entries = dict(_entries(ast.parse(path.read_text("utf-8")), name))
        if entries or path.stem != "__init__":
            table[name] = entries
    table |= {name: {_exports(table, name): []} for name in packages_of_models(table)}
    return dict(sorted(table.items()))


def packages_of_models(table: Table) -> set[str]:
    """The packages that hold a service's models, and hand them out."""
    above = (name.rpartition(".")[0] for name in table if name.startswith("api.") and ".model." in name)
    return {package for name in above for package in (name, f"{name.partition('.model')[0]}.model")}


def classes_of(table: Table, package: str) -> Iterator[tuple[str, str]]:
    """The module and name of every class of the models in a package."""
    for module, entries in table.items():
        if module.startswith(f"{package}."):
            for kind, name in (header.split()[:2] for header in entries):
                if kind in ("model", "builder", "request"):
                    yield module, name.partition("(")[0]


def _exports(table: Table, package: str) -> str:
    names = vars(importlib.import_module(f"dify_oapi.{package}"))
    kept = [
        f"{module.removeprefix(package)[1:]}.{name}"
        for module, name in classes_of(table, package)
        if getattr(names.get(name), "__module__", "") != f"dify_oapi.{module}"
    ]
    return f"exports every class{' but ' if kept else ''}{', '.join(kept)}"


def _entries(tree: ast.Module, name: str) -> Iterator[tuple[str, list[str]]]:
    module = importlib.import_module(f"dify_oapi.{name}" if name else "dify_oapi")
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and name == "core.http.transport":
            yield from ((f"from .{node.module} import {alias.name}", []) for alias in node.names)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            target = node.targets[0].id
            if not target.startswith("_"):
                yield f"{target} = {ast.unparse(node.value)}", []
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield _class(node, classes, module)


def _class(node: ast.ClassDef, classes: dict[str, ast.ClassDef], module: ModuleType) -> tuple[str, list[str]]:
    bases = [ast.unparse(base) for base in node.bases]
    where = module.__name__.removeprefix("dify_oapi.")
    if not where.startswith("api."):
        return f"class {node.name}({', '.join(bases)})", list(_plain(node))
    if ".resource." in where:
        return f"resource {node.name}", list(_calls(node))
    if where.endswith((".version", ".service")):
        return f"holder {node.name}", list(_held(getattr(module, node.name)))
    if node.name.endswith("Builder"):
        name = node.name.removesuffix("Builder")
        model = cast(type, getattr(module, name))
        # A request has no fields: each of its setters says where the value goes.
        fields = {} if _is_request(model) else dict(_fields(classes[name]))
        return f"builder {node.name}", [*_start(node), *_setters(node, fields, model)]
    if "BaseRequest" in bases:
        request = cast(_Request, getattr(module, node.name).builder().build())
        return f"request {node.name} {request.http_method.name} {request.uri}", []
    lines = [f"{field}: {about}" for field, about in _fields(node)]
    return f"model {node.name}({', '.join(bases)})", [*lines, *_methods(node)]


def _fields(model: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The fields of a model: name; type and default."""
    for node in model.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = f" = {ast.unparse(node.value)}" if node.value is not None else ""
            yield node.target.id, f"{annotation(node.annotation)}{default}"


def _start(builder: ast.ClassDef) -> Iterator[str]:
    """What a builder begins with, where the model cannot be empty."""
    first = next((node for node in builder.body if isinstance(node, ast.FunctionDef)), None)
    if first is None or first.name != "__init__":
        return
    for node in ast.walk(first):
        if isinstance(node, ast.Call) and node.keywords:
            yield f"begins with {', '.join(ast.unparse(keyword) for keyword in node.keywords)}"


def _setters(builder: ast.ClassDef, fields: dict[str, str], model: type) -> Iterator[str]:
    """A builder's setters: in one line those that take just what their field takes, and the others."""
    takes = {node.name: parameters(node) for node in _functions(builder) if node.name not in IMPLIED}
    plain = [name for name in takes if name in fields and takes[name] == taken(name, fields[name])]
    if plain:
        yield "sets every field" if plain == list(fields) else f"sets {' '.join(plain)}"
    for name in takes:
        if name not in plain:
            yield f"{name}({takes[name]}){_place(model, name) if _is_request(model) else ''}"


def taken(name: str, field: str) -> str:
    """The parameter of the setter of a field, from the field's type and default."""
    return f"{name}: {field.partition(' = ')[0].removesuffix(' | None')}"


class _Request(Protocol):
    http_method: _Named
    uri: str
    paths: dict[str, str]
    queries: list[tuple[str, str]]
    body: object
    files: dict[str, object] | None


class _Named(Protocol):
    name: str


class _Body:
    """Stands for any body."""

    def model_dump(self, **_options: object) -> dict[str, str]:
        return {"probe": "probe"}


def _is_request(model: type) -> bool:
    return any(base.__name__ == "BaseRequest" for base in model.__mro__)


def _place(model: type, setter: str) -> str:
    """Where a request puts what a setter is given: found by giving it something."""
    builder = getattr(model, "builder")()  # noqa: B009 - a plain type has no `builder`
    probes = {"file": (io.BytesIO(b"probe"), "probe"), "request_body": (_Body(),)}
    getattr(builder, setter)(*probes.get(setter, ("probe",)))
    request = cast(_Request, builder.build())
    if request.paths == {setter: "probe"}:
        return " in path"
    if request.queries == [(setter, "probe")]:
        return " in query"
    if request.files and set(request.files) == {setter}:
        return " as file"
    if request.body == {"probe": "probe"}:
        return " as body"
    sys.exit(f"{model.__name__}.{setter} puts its value where nobody looked for it.")


def _calls(resource: ast.ClassDef) -> Iterator[str]:
    """The calls of a resource. The async twin of `call` is `acall`, with the same parameters."""
    twins = {node.name: node for node in resource.body if isinstance(node, ast.AsyncFunctionDef)}
    for call in _functions(resource):
        if any(ast.unparse(mark) == "overload" for mark in call.decorator_list):
            continue
        returned = annotation(call.returns).partition(" | ")[0]
        if parameters(twins[f"a{call.name}"]) != parameters(call):
            sys.exit(f"{resource.name}.{call.name} and its async twin take different parameters.")
        yield f"{call.name}({parameters(call)}) -> {returned}"


def _held(holder: Callable[[object], object]) -> Iterator[str]:
    """The attributes of a service: name, and the class that stands there."""
    config = importlib.import_module("dify_oapi.core.model.config").Config()
    held: dict[str, object] = vars(holder(config))
    for name, value in held.items():
        yield f"{name}: {type(value).__module__.removeprefix('dify_oapi.')}.{type(value).__name__}"


def _methods(model: ast.ClassDef) -> Iterator[str]:
    for method in _functions(model):
        if method.name not in IMPLIED:
            yield f"def {method.name}({parameters(method)}) -> {annotation(method.returns)}"


def _plain(node: ast.ClassDef) -> Iterator[str]:
    """What a class outside of the services has, without types: those are looked after by hand."""
    for child in node.body:
        if isinstance(child, ast.AnnAssign | ast.Assign):
            target = child.target if isinstance(child, ast.AnnAssign) else child.targets[0]
            if not ast.unparse(target).startswith("_"):
                yield f"{ast.unparse(target)} = {ast.unparse(child.value) if child.value else ''}".rstrip(
                    " ="
                )
        elif isinstance(child, ast.FunctionDef) and child.name == "__init__":
            for inner in ast.walk(child):
                if isinstance(inner, ast.AnnAssign) and not ast.unparse(inner.target).startswith("self._"):
                    yield f"{ast.unparse(inner.target)} = {ast.unparse(inner.value) if inner.value else ''}"
    waiting = (n for n in node.body if isinstance(n, ast.AsyncFunctionDef))
    methods: list[ast.FunctionDef | ast.AsyncFunctionDef] = [*_functions(node), *waiting]
    for method in methods:
        if not any(ast.unparse(mark) == "overload" for mark in method.decorator_list):
            asynchronous = "async " if isinstance(method, ast.AsyncFunctionDef) else ""
            yield f"{asynchronous}def {method.name}({parameters(method, typed=False)})"


def _functions(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    return (n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_"))


def parameters(method: ast.FunctionDef | ast.AsyncFunctionDef, *, typed: bool = True) -> str:
    """The parameters of a method without `self`, in one way of writing."""
    arguments = ast.parse(ast.unparse(method.args).join(("def f(", "): ..."))).body[0]
    given = cast(ast.FunctionDef, arguments).args
    given.args = [argument for argument in given.args if argument.arg not in ("self", "cls")]
    for argument in [*given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]:
        if argument.annotation is not None:
            argument.annotation = ast.Name(annotation(argument.annotation)) if typed else None
    return ast.unparse(given)


def annotation(node: ast.expr | None) -> str:
    """A type, in one way of writing: `dict[str, Any]` for `dict`, `X | None` for `Optional[X]`."""
    return "None" if node is None else ast.unparse(_OneWay().visit(ast.parse(ast.unparse(node), mode="eval")))


class _OneWay(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if ast.unparse(node.value) == "Literal":
            return node
        inner = self.visit(node.slice)
        if ast.unparse(node.value) == "Optional":
            return ast.BinOp(inner, ast.BitOr(), ast.Constant(None))
        return ast.Subscript(node.value, inner)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name("dict[str, Any]") if node.id == "dict" else node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Name(node.value) if isinstance(node.value, str) else node


if __name__ == "__main__":
    main()
