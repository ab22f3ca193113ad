"""Makes the package `dify_oapi`: what is written by hand, and the 370 modules that follow from the table.

    python compat/generate.py FOLDER      writes FOLDER/dify_oapi

The wheel is made with the same function (`hatch_build.py`). The table is `surface.txt` with what
`differences.txt` says is different on purpose; nothing of a class is written here but what the few methods do
that do more than to set a field.
"""

from __future__ import annotations

import ast
import builtins
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import surface

BY_HAND = Path(__file__).parent / "src" / "dify_oapi"

# What a method does where that is more than to set its field, and what a class has besides.
ODD: Mapping[str, str] = {
    "UserInputFormItemBuilder.text_input": """
        value = TextInputConfig(label=label, variable=variable, required=required, default=default)
        return self._set("text_input", value)""",
    "UserInputFormItemBuilder.paragraph": """
        value = ParagraphConfig(label=label, variable=variable, required=required, default=default)
        return self._set("paragraph", value)""",
    "UserInputFormItemBuilder.select": """
        value = SelectConfig(
            label=label, variable=variable, required=required, options=options, default=default
        )
        return self._set("select", value)""",
    "ChatFileBuilder.url": """
        return self._set("url", HttpUrl(url))""",
    "CompletionInputs.with_variables": """
        return self.model_copy(update=kwargs)""",
    "CompletionInputsBuilder.add_variable": """
        return self._set(key, value)""",
    "CompletionInputsBuilder.variables": """
        self._built = self._built.with_variables(**kwargs)
        return self""",
    "SendMessageRequestBodyBuilder.inputs": """
        value = inputs.model_dump() if isinstance(inputs, CompletionInputs) else inputs
        return self._set("inputs", value)""",
    "SendMessageRequestBodyBuilder.query": """
        return self.add_variable("query", query)""",
    "SendMessageRequestBodyBuilder.add_variable": """
        self._built.inputs[key] = value
        return self""",
    "CreateChildChunkRequestBodyBuilder.add_chunk": """
        value = ChunkContent(content=content, keywords=keywords)
        return self._set("chunks", [*(self._built.chunks or []), value])""",
    "CreateDocumentByFileRequestBodyBuilder.data": """
        return self._set("data", data.model_dump_json(exclude_none=True))""",
    "UpdateDocumentByFileRequestBodyBuilder.data": """
        return self._set("data", data.model_dump_json(exclude_none=True))""",
    # Dify takes one child chunk a call, and not in a list.
    "CreateChildChunkRequestBody": """
    @model_serializer
    def _one(self) -> dict[str, Any]:
        chunks = self.chunks or []
        if len(chunks) > 1:
            raise ValueError("Dify takes one child chunk a call: make a request for each.")
        return {"content": chunk.content for chunk in chunks}
""",
    # Dify wants the inputs; dify-oapi2 sent {"inputs": {"inputs": …}}, of which Dify finds none.
    "RunWorkflowRequestBody": """
    @field_serializer("inputs")
    def _unwrapped(self, inputs: WorkflowInputs | dict[str, Any] | None) -> dict[str, Any] | None:
        return inputs.inputs or {} if isinstance(inputs, WorkflowInputs) else inputs
""",
    "WorkflowInputs.add_input": """
        self.inputs = {**(self.inputs or {}), key: value}""",
    "WorkflowInputs.get_input": """
        return None if self.inputs is None else self.inputs.get(key)""",
    "WorkflowInputsBuilder.add_input": """
        self._built.add_input(key, value)
        return self""",
}

CORE = "dify_oapi.core"
IMPORTS = {
    "ATransport": f"from {CORE}.http.transport import ATransport",
    "Any": "from typing import Any",
    "AsyncGenerator": "from collections.abc import AsyncGenerator",
    "BaseModel": "from dify_oapi._model import BaseModel",
    "BaseRequest": f"from {CORE}.model.base_request import BaseRequest",
    "BaseResponse": f"from {CORE}.model.base_response import BaseResponse",
    "Builder": "from dify_oapi._builder import Builder",
    "BytesIO": "from io import BytesIO",
    "Config": f"from {CORE}.model.config import Config",
    "Generator": "from collections.abc import Generator",
    "Enum": "from enum import Enum",
    "HttpUrl": "from pydantic import HttpUrl",
    "Literal": "from typing import Literal",
    "RequestBuilder": "from dify_oapi._builder import RequestBuilder",
    "RequestOption": f"from {CORE}.model.request_option import RequestOption",
    "Self": "from typing import Self",
    "Transport": f"from {CORE}.http.transport import Transport",
    "auto": "from enum import auto",
    "field_serializer": "from pydantic import field_serializer",
    "model_serializer": "from pydantic import model_serializer",
    "overload": "from typing import overload",
}
ABOUT = '"""{}. Made from the table of dify-oapi2\'s names."""\n\nfrom __future__ import annotations\n'

# The sync twin of the async transport: one word for another, in this order.
TWIN = {
    "async def aexecute": "def execute",
    "async def ": "def ",
    "await ": "",
    "AsyncGenerator[bytes, None]": "Generator[bytes, None, None]",
    "ATransport": "Transport",
    "Async": "",
    "asyncio": "time",
    "async_file_part": "file_part",
    "_async._upload": "_sync._upload",
    "async_transport": "sync_transport",
    "aclose": "close",
    "async calls": "sync calls",
    "The sync twin of this module is made from it.": "Made from async_transport.py.",
}
PLACES = {"in path": "_path", "in query": "_query", "as body": "_body", "as file": "_file"}


def main() -> None:
    """The command line."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{sum(1 for _ in generate(Path(sys.argv[1])))} modules made.")


def generate(folder: Path) -> Iterator[Path]:
    """Write the package into a folder, and tell which files were written from the table."""
    table = surface.ours()
    package = folder / "dify_oapi"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(BY_HAND, package, ignore=shutil.ignore_patterns("__pycache__"))
    yield _write(package / "core/http/transport/sync_transport.py", _sync_twin())
    packages = surface.packages_of_models(table)
    for module, entries in table.items():
        path = package / module.replace(".", "/")
        if module in packages:
            yield _write(path / "__init__.py", _package(table, module))
        elif not path.exists() and not path.with_suffix(".py").exists():
            yield _write(path.with_suffix(".py"), _module(table, module, entries))
    for directory in [path for path in package.rglob("*") if path.is_dir()]:
        if not (directory / "__init__.py").exists():
            _write(directory / "__init__.py", "")


def _sync_twin() -> str:
    source = (BY_HAND / "core/http/transport/async_transport.py").read_text("utf-8")
    for word, other in TWIN.items():
        source = source.replace(word, other)
    return source


def _write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")
    return path


# A module


def _package(table: surface.Table, package: str) -> str:
    """The source of a package that hands out the classes of its modules."""
    (header,) = table[package]
    kept = header.partition(" but ")[2].split(", ")
    names = [
        (module, name)
        for module, name in surface.classes_of(table, package)
        if f"{module.removeprefix(package)[1:]}.{name}" not in kept
    ]
    lines = [f"from dify_oapi.{module} import {name} as {name}" for module, name in names]
    return "\n".join([ABOUT.format(f"The models of {package}"), *lines, ""])


def _module(table: surface.Table, module: str, entries: Mapping[str, list[str]]) -> str:
    """The source of a module."""
    body: list[str] = []
    for header, details in entries.items():
        kind, _, rest = header.partition(" ")
        if kind == "class":
            body += [f"\n\nclass {rest}:", *(f"    {detail}" for detail in details)]
        elif kind in ("model", "request"):
            with_builder = any(other.startswith(f"builder {_name(rest)}Builder") for other in entries)
            body += _MAKE[kind](rest, details, entries if with_builder else {})
        elif kind == "resource":
            body += _resource(rest, details, _routes(table, module))
        elif kind in _MAKE:
            body += _MAKE[kind](rest, details, entries)
        else:
            body.append(header)
    source = "\n".join(body)
    lines = _imports(table, module, source)
    imports = sorted(lines, key=lambda line: (line.startswith("from dify_oapi"), line))
    return "\n".join([ABOUT.format(module), *imports, source, ""])


def _routes(table: surface.Table, module: str) -> dict[str, str]:
    """Method and address of the requests of a service, by their classes."""
    service = module.partition(".resource.")[0]
    headers = (header for other in table if other.startswith(service) for header in table[other])
    requests = (header.split() for header in headers if header.startswith("request "))
    return {name: f"{method} {address}" for _, name, method, address in requests}


def _imports(table: surface.Table, module: str, source: str) -> Iterator[str]:
    """The imports that the source of a module needs."""
    tree = ast.parse(source)
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    defined |= {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    local = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    local |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for name in sorted(used - defined - local - set(dir(builtins))):
        yield IMPORTS.get(name) or f"from dify_oapi.{_home(table, module, name)} import {name}"


def _home(table: surface.Table, module: str, name: str) -> str:
    """The module that a name comes from: the one of the service that is not kept back."""
    package = f"{'.'.join(module.split('.')[:3])}.model"
    (exports,) = table[package]
    homes = [
        other
        for other, entries in table.items()
        if other.startswith(f"{package}.") and f"{other.removeprefix(f'{package}.')}.{name}" not in exports
        if any(name in (_name(header), _name(header.partition(" ")[2])) for header in entries)
    ]
    if len(homes) != 1:
        sys.exit(f"{module} uses {name}, of which there are {len(homes)}: {', '.join(homes)}")
    return homes[0]


def _name(header: str) -> str:
    return header.partition("(")[0].partition(" ")[0]


# What stands in a module


def _model(rest: str, details: Iterable[str], entries: Mapping[str, list[str]]) -> Iterator[str]:
    yield f"\n\nclass {rest}:"
    empty = True
    for detail in details:
        empty = False
        if detail.startswith("def "):
            yield from _method(_name(rest), detail.removeprefix("def "), own_result=True)
        else:
            yield f"    {detail}"
    if more := ODD.get(_name(rest)):
        yield more.rstrip("\n")
    if entries:
        yield from _builder_of(_name(rest))
    elif empty:
        yield f'    """What Dify answers: see `{_name(rest)}.raw` for the answer itself."""'


def _builder_of(name: str) -> Iterator[str]:
    yield "\n    @staticmethod"
    yield f"    def builder() -> {name}Builder:"
    yield f"        return {name}Builder()"


def _request(rest: str, _details: Iterable[str], entries: Mapping[str, list[str]]) -> Iterator[str]:
    name, method, address = rest.split()
    yield f"\n\nclass {name}(BaseRequest):"
    yield f'    """{method} {address}"""\n'
    for setter in entries[f"builder {name}Builder"]:
        field, _, takes = setter.partition("(")
        kind = takes.partition(": ")[2].partition(")")[0].partition(", ")[0].partition("=")[0]
        yield f"    {field}: {kind.removesuffix(' | None')} | None = None"
    yield from _builder_of(name)


def _builder(rest: str, details: Iterable[str], entries: Mapping[str, list[str]]) -> Iterator[str]:
    name = rest.removesuffix("Builder")
    request = next((header.split() for header in entries if header.startswith(f"request {name} ")), None)
    begin = next((d.removeprefix("begins with ") for d in details if d.startswith("begins with ")), "")
    base = "Builder" if request is None else "RequestBuilder"
    route = "" if request is None else f', "{request[2]}", "{request[3]}"'
    yield f"\n\nclass {rest}({base}[{name}]):"
    yield "    def __init__(self) -> None:"
    yield f"        super().__init__({name}({begin}){route})"
    fields = {
        field: about
        for header in entries
        if header.startswith(f"model {name}(")
        for field, _, about in (detail.partition(": ") for detail in entries[header])
        if not field.startswith("def ")
    }
    for detail in details:
        if detail.startswith("sets "):
            for field in fields if detail == "sets every field" else detail.split()[1:]:
                yield from _method("", f"{field}({surface.taken(field, fields[field])})")
        elif not detail.startswith("begins with "):
            yield from _method(rest, detail)


def _method(owner: str, signature: str, *, own_result: bool = False) -> Iterator[str]:
    """A setter, or a method that is one of the odd ones of its class."""
    head, _, tail = signature.rpartition(")")
    name, _, takes = head.partition("(")
    first = takes.partition(":")[0]
    result = tail.partition(" -> ")[2] if own_result else "Self"
    does = f'return self.{PLACES.get(tail.strip(), "_set")}("{name}", {first})'
    if tail.strip() == "as file":
        does = f'return self._file("{name}", {first}, file_name)'
    yield f"\n    def {name}(self{', ' if takes else ''}{takes}) -> {result}:"
    yield ODD.get(f"{owner}.{name}", f"        {does}").removeprefix("\n")


def _resource(rest: str, details: Iterable[str], routes: Mapping[str, str]) -> Iterator[str]:
    yield f"\n\nclass {rest}:"
    yield "    def __init__(self, config: Config) -> None:"
    yield "        self.config = config"
    for detail in details:
        signature, _, answer = detail.rpartition(" -> ")
        name, _, takes = signature.removesuffix(")").partition("(")
        route = routes[takes.partition(",")[0].removeprefix("request: ")]
        yield from _call(name, takes, answer, route, asynchronous=False)
        yield from _call(name, takes, answer, route, asynchronous=True)


def _call(name: str, takes: str, answer: str, route: str, *, asynchronous: bool) -> Iterator[str]:
    start, name = ("async def", f"a{name}") if asynchronous else ("def", name)
    chunks = "AsyncGenerator[bytes, None]" if asynchronous else "Generator[bytes, None, None]"
    execute = "await ATransport.aexecute" if asynchronous else "Transport.execute"
    option = takes.split(", ")[1].partition(":")[0]
    plain, _, streams = takes.partition(", stream")
    if streams:
        for kind, result in (
            ("Literal[True]", chunks),
            ("Literal[False] = False", answer),
            ("bool", f"{answer} | {chunks}"),
        ):
            yield f"\n    @overload\n    {start} {name}(self, {plain}, stream: {kind}) -> {result}: ..."
    yield f"\n    {start} {name}(self, {takes}) -> {f'{answer} | {chunks}' if streams else answer}:"
    yield f'        """{route}"""'
    if streams:
        yield "        if stream:"
        yield f"            return {execute}(self.config, request, stream=True, option={option})"
    yield f"        return {execute}(self.config, request, unmarshal_as={answer}, option={option})"


def _holder(rest: str, details: Iterable[str], _entries: Mapping[str, list[str]]) -> Iterator[str]:
    for detail in details:
        module, _, kind = detail.partition(": ")[2].rpartition(".")
        yield f"from dify_oapi.{module} import {kind}"
    yield f"\n\nclass {rest}:"
    yield "    def __init__(self, config: Config) -> None:"
    for detail in details:
        name, _, home = detail.partition(": ")
        yield f"        self.{name} = {home.rpartition('.')[2]}(config)"


_MAKE = {
    "builder": _builder,
    "holder": _holder,
    "model": _model,
    "request": _request,
}

if __name__ == "__main__":
    main()
