"""Handlers carried over to the next version of the contract: renamed in their `def` line, or given stubs.

Nothing is written here. All of it is worked out in a copy of the handlers, outside the tree.
"""

import ast
import dataclasses
import re
import shutil
import symtable
import tempfile
from collections.abc import Iterator
from pathlib import Path

import libcst

from codegen import stubs
from codegen.stubs import Operation

# What a function is called while it is tried whether a `def` is the one at the module's top level.
TRIED = "renamed_to_try_it"
COPIED = ("handlers", "tests/handlers")


@dataclasses.dataclass(frozen=True)
class Pair:
    """An operation in both documents: the same method and path."""

    old: Operation
    new: Operation

    @property
    def is_renamed(self) -> bool:
        """Whether its function has another name in the same module."""
        return self.old.file == self.new.file and self.old.function != self.new.function

    @property
    def is_moved(self) -> bool:
        """Whether its function belongs in another module."""
        return self.old.file != self.new.file


@dataclasses.dataclass(frozen=True)
class CarriedOver:
    """What becomes of the handlers.

    Attributes:
        files: what to write, by path relative to the repository.
        stubs: operations that get one.
        renamed: whose function was renamed.
        moved: whose function belongs in another module now, and stays where it is.
        kept: whose function stays as it is, though the operation's name changed: it is no `def`, or the name is taken.
        removed: operations that are gone.
    """

    files: dict[Path, bytes]
    stubs: list[Operation]
    renamed: list[Pair]
    moved: list[Pair]
    kept: list[Pair]
    removed: list[Operation]


def carry_over(before: dict, after: dict, root: Path) -> CarriedOver:
    """Work out what becomes of the handlers below `root`.

    Raises ValueError, in a sentence for the developer, as `codegen.stubs.missing` does.
    """
    pairs, removed = matched(list(stubs.operations(before)), list(stubs.operations(after)))
    candidates = [pair for pair in pairs if pair.is_renamed]
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder)
        for name in COPIED:
            if (root / name).exists():
                shutil.copytree(root / name, staged / name, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            files, renamed = rename(candidates, staged)
            lacking = stubs.missing(after, staged)
            files |= relative(stubs.files(after, lacking, staged), staged)
        except ValueError as error:
            raise ValueError(str(error).replace(f"{staged}/", "")) from None
    kept = [pair for pair in candidates if pair not in renamed]
    return CarriedOver(files, lacking, renamed, [pair for pair in pairs if pair.is_moved], kept, removed)


def matched(before: list[Operation], after: list[Operation]) -> tuple[list[Pair], list[Operation]]:
    """Pair operations by method and path, whatever a path's parameters are called; return also those that are gone."""
    found = {generic(operation.place): operation for operation in after}
    pairs = [Pair(old, found[generic(old.place)]) for old in before if generic(old.place) in found]
    return pairs, [old for old in before if generic(old.place) not in found]


def generic(place: str) -> str:
    """Return a method and path without the names of the path's parameters."""
    return re.sub(r"\{[^}]*\}", "{}", place)


def relative(files: dict[Path, bytes], root: Path) -> dict[Path, bytes]:
    """Return files by their paths relative to `root`."""
    return {path.relative_to(root): content for path, content in files.items()}


def rename(pairs: list[Pair], root: Path) -> tuple[dict[Path, bytes], list[Pair]]:
    """Rename functions below `root`; return the files that changed, and the pairs whose function has its new name.

    A function stays as it is where its new name is taken already, or where it is not defined by `def`.
    """
    files, renamed = {}, []
    for file in sorted({pair.old.file for pair in pairs}):
        path = root / file
        bound = stubs.bound_names(path)
        here = [pair for pair in pairs if pair.old.file == file and pair.old.function in bound]
        leaving = {pair.old.function for pair in here}
        free = [pair for pair in here if pair.new.function not in bound - leaving]
        content, done = with_names(path.read_bytes() if bound else b"", free)
        if done:
            files[path] = content
            path.write_bytes(content)
            renamed += done
    return relative(files, root), renamed


def with_names(content: bytes, pairs: list[Pair]) -> tuple[bytes, list[Pair]]:
    """Replace the names in the `def` lines of a module, all of them at once: two may have swapped."""
    spans = [(span, pair) for pair in pairs for span in definitions(content, pair.old.function)]
    for (start, end), pair in sorted(spans, key=lambda found: found[0], reverse=True):
        content = content[:start] + pair.new.function.encode() + content[end:]
    return content, [pair for pair in pairs if any(found is pair for _, found in spans)]


def definitions(content: bytes, function: str) -> Iterator[tuple[int, int]]:
    """List where a function's name stands in `def` lines that bind it at the module's top level."""
    for match in re.finditer(rb"\bdef[ \t\f]+(" + re.escape(function.encode()) + rb")(?![A-Za-z0-9_])", content):
        start, end = match.span(1)
        tried = content[:start] + TRIED.encode() + content[end:]
        if binds(tried, TRIED):
            yield start, end


def binds(content: bytes, name: str) -> bool:
    """Tell whether a module binds a name at its top level."""
    table = symtable.symtable(libcst.parse_module(content).code, "module", "exec")
    return any(symbol.get_name() == name and symbol.is_assigned() for symbol in table.get_symbols())


def functions(content: bytes) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """List the functions of a module by name, wherever in it they are defined; the last of a name counts."""
    found = ast.walk(ast.parse(content))
    return {node.name: node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def line_of(content: bytes, function: str) -> int | None:
    """Return the line in which a function is defined."""
    node = functions(content).get(function)
    return node.lineno if node else None


def stub_line(content: bytes, function: str) -> int | None:
    """Return the line in which a function says that it is not implemented; None if it does not."""
    node = functions(content).get(function)
    for inner in ast.walk(node) if node else ():
        if isinstance(inner, ast.Raise) and inner.exc and "NotImplementedError" in ast.dump(inner.exc):
            return inner.lineno
    return None
