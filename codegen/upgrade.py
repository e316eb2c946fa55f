"""The next version of the contract in place of this one, and the code that follows from it.

All of it is worked out in memory before anything is written, and then written whole or not at all. Nothing that was
written by hand changes, but for the name of a function whose operation was renamed.
"""

import dataclasses
import datetime
import hashlib
import re
from pathlib import Path

from app import contract
from codegen import schemas, upgrade_files
from codegen.compare import Comparison, compare
from codegen.comparison import documents
from codegen.schemas import ROOT
from codegen.upgrade_handlers import COPIED, CarriedOver, carry_over
from codegen.upgrade_work import GENERATED, README, Work, WorkList

CONTRACT = schemas.CONTRACT.relative_to(ROOT)
HISTORY = CONTRACT.parent / "history"
PLANNED_FROM = (*COPIED, CONTRACT.parent)
SHORT = 12
ROW = r"^\| {} \| (.*) \|(?=\r?$)"


@dataclasses.dataclass(frozen=True)
class Plan:
    """An upgrade that is worked out and not yet made.

    Attributes:
        comparison: what the new version changes for this server.
        contents: what to write, by path relative to the repository: only what differs from what stands there.
        before: what the files held from which it was worked out, by path relative to the repository.
        edits: what happens to each of those files, in words.
        work: what is left to do afterwards.
    """

    comparison: Comparison
    contents: dict[Path, bytes]
    before: dict[Path, bytes]
    edits: dict[Path, str]
    work: list[Work]


def plan(file: Path, root: Path = ROOT, today: datetime.date | None = None) -> Plan:
    """Work out the upgrade of the repository at `root` to the contract in a file. Writes nothing.

    Raises:
        documents.NotOpenAPI: it is no OpenAPI 3.1 document.
        ValueError: no code can be made for it, in a sentence for the developer.
    """
    stood = standing(root)  # first of all: what is saved from now on would be lost
    after, before = documents.load(file), documents.load(root / CONTRACT)
    content, kept = file.read_bytes(), (root / CONTRACT).read_bytes()
    comparison = compare(before, after, kept.decode())
    document = schemas.load_contract(file)
    generated = schemas.generate(document).encode()
    carried = carry_over(before, document, root)
    refuse_unservable(file)
    contents = {GENERATED: generated, **carried.files, **vendored(before, after, kept, content, root, today)}
    changed = {path: new for path, new in contents.items() if not holds(root / path, new)}

    def read(path: Path) -> bytes:
        return contents.get(path) or ((root / path).read_bytes() if (root / path).exists() else b"")

    work = WorkList(before, document, carried, read).all(comparison, root)
    edits = {path: described(path, root, carried) for path in changed}
    return Plan(comparison, changed, stood, edits, work)


def refuse_unservable(file: Path) -> None:
    """Do nothing if the server can read a valid document; else raise ValueError: with it in place, none would start."""
    try:
        contract.load(file)
    except Exception as error:  # noqa: BLE001 (whatever it is, the server would end with it)
        told = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(f"{file} is valid, but the server cannot read it: {type(error).__name__}, {told}.") from None


def make(planned: Plan, root: Path = ROOT) -> None:
    """Write what was planned: all of it, or nothing.

    Raises:
        OSError: it cannot be written.
        ValueError: one of the files has changed since it was planned, in a sentence for the developer.
    """
    now = standing(root)
    for path in planned.contents:
        if now.get(path) != planned.before.get(path):
            raise ValueError(f"{path} has changed while the upgrade was worked out; nothing was written, run it again.")
    if planned.contents:
        upgrade_files.write_all(planned.contents, root)


def standing(root: Path) -> dict[Path, bytes]:
    """Return what the files hold from which an upgrade is worked out, by path relative to `root`."""
    files = (path for name in PLANNED_FROM for path in (root / name).rglob("*") if path.is_file())
    return {path.relative_to(root): path.read_bytes() for path in files if "__pycache__" not in path.parts}


def vendored(
    before: dict, after: dict, kept: bytes, content: bytes, root: Path, today: datetime.date | None
) -> dict[Path, bytes]:
    """Return the files of spec/: the contract byte for byte, the one before it, and the table that names it.

    Raises ValueError if the README has no such table, or if something else stands where the old contract goes.
    """
    today = today or datetime.datetime.now().astimezone().date()
    text = (root / README).read_bytes().decode() if (root / README).exists() else ""
    files = {README: table(text, after["info"]["version"], checksum(content), today).encode(), CONTRACT: content}
    if kept == content:
        return files
    version = re.sub(r"[^A-Za-z0-9._-]", "_", str(before["info"]["version"])).lstrip(".")
    history = HISTORY / f"{version}-{checksum(kept)[:SHORT]}.yaml"
    if (root / history).exists() and not holds(root / history, kept):
        raise ValueError(f"{history} is not the contract that its name says; move it away.")
    return {history: kept} | files


def table(text: str, version: str, digest: str, today: datetime.date) -> str:
    """Return the README with the version, checksum and date of the contract in its table; the date only if they differ.

    Raises ValueError if it has no such table.
    """
    changed = row(row(text, "spec version", version), "SHA-256", f"`{digest}`")
    return text if changed == text else row(changed, "vendored on", today.isoformat())


def row(text: str, name: str, value: str) -> str:
    """Return a text with another value in a row of its table. Raises ValueError if it has no such row, or several."""
    found = list(re.finditer(ROW.format(re.escape(name)), text, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"{README} should have one row `| {name} | ... |`, and has {len(found)}.")
    start, end = found[0].span(1)
    return text[:start] + value + text[end:]


def described(path: Path, root: Path, carried: CarriedOver) -> str:
    """Say what happens to a file."""
    told = [
        f"{pair.old.function} becomes {pair.new.function}" for pair in carried.renamed if Path(pair.new.file) == path
    ]
    told += [f"stub {stub.function}" for stub in carried.stubs if Path(stub.file) == path]
    return ", ".join(told) or ("replaced" if (root / path).exists() else "new")


def holds(path: Path, content: bytes) -> bool:
    """Tell whether a file exists and holds just this."""
    return path.exists() and path.read_bytes() == content


def checksum(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
