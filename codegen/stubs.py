"""A stub for each operation of the contract without a handler, and a failing test that says what to write.

Only ever adds: a handler that exists is not touched, the bytes of a file that exists stay what they are and come first.
A stub raises NotImplementedError, which the caller gets as an internal error and the log as "not implemented yet".
"""

import ast
import dataclasses
import itertools
import keyword
import re
import symtable
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import libcst

from app.contract import Parameter, handler_name, json_media_type, parameters
from codegen.schemas import METHODS, ROOT, Collector, formatted

NAME = re.compile("[a-z_][a-z0-9_]*")
LINE_LENGTH = 120
# Modules of handlers/ that belong to no tag.
HELPERS = frozenset({"__init__", "conversion", "schemas"})
STUB = """
def {function}({signature}) -> dict:
    {docstring}
    raise NotImplementedError({operation_id!r})
"""
TEST = '''"""The operation {operation_id}. Made by `make generate`, to be replaced."""

import pytest


def test_{function}():
    pytest.fail({sentence}, pytrace=False)
'''


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of the contract, and the function that serves it.

    Attributes:
        operation_id: as in the document.
        place: its method and path.
        tag: its first tag.
        tag_description: what the document says about the tag; empty if nothing.
        summary: as in the document, or else a sentence that names the operation.
        signature: what stands between the parentheses of the function.
    """

    operation_id: str
    place: str
    tag: str
    tag_description: str
    summary: str
    signature: str

    @property
    def handler(self) -> str:
        """The dotted name of the function, as the server looks for it."""
        return handler_name({"tags": [self.tag], "operationId": self.operation_id})

    @property
    def module(self) -> str:
        """The name of the module in handlers/."""
        return self.handler.removeprefix("handlers.").rpartition(".")[0]

    @property
    def function(self) -> str:
        """The name of the function."""
        return self.handler.rpartition(".")[2]

    @property
    def file(self) -> str:
        """The module's path in the repository."""
        return f"handlers/{self.module}.py"


def missing(document: dict, root: Path = ROOT) -> list[Operation]:
    """List the operations of an OpenAPI 3.1 document that no handler below `root` serves, in the document's order.

    Raises ValueError, in a sentence for the developer, for an operation without id or tag, for names that no function
    or module can have or that two operations share, and for a handler module that cannot be read.
    """
    found = list(operations(document))
    refuse_names(found, HELPERS | bound_names(root / "handlers" / "__init__.py"))
    lacking = [operation for operation in found if operation.function not in bound_names(root / operation.file)]
    for operation in lacking:
        if "*" in bound_names(root / operation.file):
            raise ValueError(
                f"{operation.file} imports *, which may hold {operation.function} or not: import names instead."
            )
    return lacking


def operations(document: dict) -> Iterator[Operation]:
    """List all operations of a document, in its order. Raises ValueError for one without an id or a tag."""
    collector = Collector(document)
    descriptions = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
    for path, item in document.get("paths", {}).items():
        followed = collector.follow(item)
        for method in (name for name in followed if name in METHODS):
            yield read_operation(f"{method.upper()} {path}", followed, method, descriptions, collector)


def read_operation(
    place: str, item: dict, method: str, descriptions: dict[str, str], collector: Collector
) -> Operation:
    """Read one operation of a path item. Raises ValueError for one without an id or a tag."""
    node = item[method]
    if not node.get("operationId"):
        raise ValueError(f"{place} has no operationId in the contract, after which its handler would be named.")
    if not node.get("tags"):
        raise ValueError(f"{place} ({node['operationId']}) has no tag in the contract, which would name its module.")
    return Operation(
        operation_id=node["operationId"],
        place=place,
        tag=node["tags"][0],
        tag_description=descriptions.get(node["tags"][0], ""),
        summary=node.get("summary", ""),
        signature=signature(parameters(item, node, collector.follow), collector.follow(node.get("requestBody", {}))),
    )


def signature(taken: list[Parameter], request_body: dict) -> str:
    """Write what a handler takes: parameters as texts, a JSON body; None for what may be missing and was not sent."""
    types = {"path": "str", "query": "str | None = None"}
    words = [f"{parameter.argument}: {types[parameter.place]}" for parameter in taken]
    if json_media_type(request_body.get("content", {})) is not None:
        words.append("body: dict" if request_body.get("required", False) else "body: dict | None")
    return ", ".join(["*", *words]) if words else ""


def refuse_names(found: list[Operation], taken: Iterable[str]) -> None:
    """Do nothing if each operation can have a function of its own; else raise ValueError.

    `taken` are the names that handler modules import from the package: a module or function of that name hides them.
    """
    owners: dict[str, Operation] = {}
    for operation in found:
        told = f"{operation.place} ({operation.operation_id}, tag {operation.tag})"
        for name in (operation.module, operation.function):
            if not NAME.fullmatch(name) or keyword.iskeyword(name):
                raise ValueError(f"{told} needs the handler {operation.handler}, but {name} cannot be a Python name.")
            if name in taken:
                raise ValueError(f"{told} needs the handler {operation.handler}, but handlers.{name} is a helper.")
        other = owners.setdefault(operation.handler, operation)
        if other is not operation:
            raise ValueError(f"{told} and {other.place} ({other.operation_id}) share the handler {operation.handler}.")


def bound_names(path: Path) -> set[str]:
    """List what a module defines or imports at its top level; `*` if it imports that. Of no file, nothing.

    Raises ValueError if the file is no Python.
    """
    if not path.exists():
        return set()
    try:
        source = libcst.parse_module(path.read_bytes()).code
        table, nodes = symtable.symtable(source, str(path), "exec"), ast.walk(ast.parse(source))
    except (SyntaxError, ValueError, libcst.ParserSyntaxError) as error:
        raise ValueError(f"{path} cannot be read as Python ({type(error).__name__}).") from error
    stars = {"*" for node in nodes if isinstance(node, ast.alias) and node.name == "*"}
    return stars | {name.get_name() for name in table.get_symbols() if name.is_assigned() or name.is_imported()}


def files(document: dict, lacking: list[Operation], root: Path = ROOT) -> dict[Path, bytes]:
    """Write the files that give stubs to the operations of `missing`: by path the content, in the order of writing.

    A test that exists is not touched. Tests come first: what an interrupted run leaves out, the next one adds.
    """
    folder = root / "tests" / "handlers"
    shared = shared_functions(document)
    tests = {folder / name_of_test(operation, shared): failing_test(operation).encode() for operation in lacking}
    written = {path: content for path, content in tests.items() if not path.exists()}
    if lacking and not (folder / "__init__.py").exists():
        # As a package, so that these tests may be called like those in other folders.
        written = {folder / "__init__.py": b""} | written
    for file, stubs in itertools.groupby(sorted(lacking, key=lambda stub: stub.file), lambda stub: stub.file):
        written[root / file] = module_with(root / file, list(stubs))
    return written


def shared_functions(document: dict) -> set[str]:
    """List the function names that operations with different tags have in common."""
    names = [operation.function for operation in operations(document)]
    return {name for name in names if names.count(name) > 1}


def name_of_test(operation: Operation, shared: set[str]) -> str:
    """Name the test module of an operation."""
    prefix = f"{operation.module}_" if operation.function in shared else ""
    return f"test_{prefix}{operation.function}.py"


def failing_test(operation: Operation) -> str:
    """Write the test module of an operation."""
    sentence = (
        f"{operation.operation_id} ({operation.place}) is not implemented yet: write {operation.handler}, "
        "and tests of it in place of this one."
    )
    pieces = textwrap.wrap(
        sentence, LINE_LENGTH - 20, drop_whitespace=False, break_long_words=False, break_on_hyphens=False
    )
    literals = "\n".join(repr(piece) for piece in pieces)
    return formatted(TEST.format(operation_id=operation.operation_id, function=operation.function, sentence=literals))


def module_with(path: Path, stubs: list[Operation]) -> bytes:
    """Write a handler module with stubs at its end: a new one, or the one that exists byte for byte and the stubs."""
    functions = "\n\n".join(stub(operation) for operation in stubs)
    if path.exists():
        return extended(path.read_bytes(), formatted(functions))
    text = stubs[0].tag_description
    return formatted(docstring(text, f"The operations with the tag {stubs[0].tag}") + "\n\n" + functions).encode()


def extended(old: bytes, functions: str) -> bytes:
    """Append functions to a module, two blank lines below all it holds, in its encoding, line ends and indentation."""
    module = libcst.parse_module(old)
    rendered = libcst.parse_module(functions).with_changes(default_indent=module.default_indent).code
    text = (separator(module.code) + rendered).replace("\n", module.default_newline)
    # What the module's encoding lacks can only stand in a docstring, where an escape means the same.
    return old + text.encode(module.encoding.removesuffix("-sig"), errors="backslashreplace")


def separator(code: str) -> str:
    """Give the line ends that must follow a module's code for two blank lines, or to start on a new line."""
    ending = code[len(code.rstrip()) :].replace("\r\n", "\n").replace("\r", "\n")
    wanted = 3 - ending.count("\n") if code.strip() else 0
    is_line_open = bool(code) and not ending.endswith("\n")
    return "\n" * max(wanted, int(is_line_open))


def stub(operation: Operation) -> str:
    """Write the handler of an operation, not yet formatted."""
    return STUB.format(
        function=operation.function,
        signature=operation.signature,
        docstring=docstring(operation.summary, f"The operation {operation.operation_id}", indent=" " * 4),
        operation_id=operation.operation_id,
    )


def docstring(text: Any, fallback: str, indent: str = "") -> str:
    """Write a text as a docstring of one sentence at least; the fallback stands for one that is blank."""
    visible = "".join(character if character.isprintable() else " " for character in str(text or ""))
    escaped = (" ".join(visible.split()) or fallback).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    ended = escaped if escaped.endswith((".", "!", "?")) else f"{escaped}."
    width = LINE_LENGTH - len(indent) - 2 * len('"""')
    lines = textwrap.wrap(ended, width, break_long_words=False, break_on_hyphens=False)
    closing = f"\n{indent}" if len(lines) > 1 else ""
    return '"""' + f"\n{indent}".join(lines) + closing + '"""'
