"""Copies of the repository in which a contract is put in place, and the server of each."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from app import contract
from codegen import schemas
from codegen.comparison import documents
from tests import support

COPIED = ("app", "codegen", "handlers", "models", "spec", "tests", "pyproject.toml", "setup.cfg")
CONTRACT = "spec/mews-loyalty-partner.yaml"
README = "spec/README.md"
SECONDS = 60
SUITE_SECONDS = 600
EXAMPLES = "5"


def unchanged(_: dict) -> None:
    """Change nothing of a document."""


@dataclasses.dataclass
class Repository:
    """A copy of what an upgrade reads and writes; `before` holds what stood in its files at first."""

    root: Path
    before: dict[str, bytes] = dataclasses.field(default_factory=dict)

    @classmethod
    def copy(cls, root: Path) -> "Repository":
        unneeded = shutil.ignore_patterns("__pycache__", "hostile")
        for name in COPIED:
            source = schemas.ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=unneeded)
            else:
                shutil.copy(source, root / name)
        repository = cls(root)
        repository.before = repository.contents()
        return repository

    def contents(self) -> dict[str, bytes]:
        paths = [path for path in self.root.rglob("*") if path.is_file() and "_cache" not in str(path)]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths if "__pycache__" not in str(path)}

    def next_version(self, change: Callable[[dict], None] = unchanged) -> Path:
        """Write the contract with a change to a file outside, with a comment and no line end at its end."""
        document = documents.load(self.root / CONTRACT)
        document["info"]["version"] = "2026.03.01"
        change(document)
        file = self.root.with_name(f"{self.root.name}-next.yaml")
        file.write_text(yaml.safe_dump(document, sort_keys=False) + "# Für Partner\r\n# end", encoding="utf-8")
        return file

    def run(self, *words: str, seconds: int = SECONDS, **variables: str) -> subprocess.CompletedProcess:
        """Run Python in it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
        environment |= {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"} | variables
        return subprocess.run(
            [sys.executable, *words], cwd=self.root, env=environment, capture_output=True, text=True, timeout=seconds
        )

    def upgrade(self, *words: str) -> subprocess.CompletedProcess:
        return self.run("-m", "app", "spec", "upgrade", *words)

    def contract_suite(self, chosen: str) -> set[str]:
        """Run those of its tests/contract that pytest's `-k` chooses, and return what fails."""
        words = ["-m", "pytest", "tests/contract", "-k", chosen, "-q", "-rfE", "-n", "2", "--dist", "loadscope"]
        done = self.run(*words, seconds=SUITE_SECONDS, CONTRACT_EXAMPLES=EXAMPLES)
        lines = [line.split(" ") for line in done.stdout.splitlines()]
        failed = {line[1].removeprefix("tests/contract/") for line in lines if line[0] in ("FAILED", "ERROR")}
        assert done.returncode == (1 if failed else 0), done.stdout + done.stderr
        return failed

    def line(self, file: str, text: str) -> str:
        """Where a text stands, as `file:line`."""
        lines = (self.root / file).read_text().splitlines()
        return f"{file}:{next(number for number, line in enumerate(lines, 1) if text in line)}"


def operation_in(document: dict, name: str) -> dict:
    """One of today's operations in the next version."""
    operation = support.operation(name)
    return document["paths"][operation.path][operation.method.lower()]


def rows(printed: str, title: str) -> list[list[str]]:
    """The rows of one of the tables that were printed, with what was folded put together again."""
    found: list[list[str]] = []
    for line in printed.partition(f"\n{title}" if not printed.startswith(title) else title)[2].splitlines()[1:]:
        if not line.startswith(("│", "┏", "┃", "┡", "└")):
            break
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        if cells and not any(cells[:2]):
            found[-1] = [f"{above} {cell}".strip() for above, cell in zip(found[-1], cells, strict=True)]
        elif cells:
            found.append(cells)
    return found


def bodies(identifier: str) -> dict[str, dict]:
    """A request for each operation of today's contract."""
    hotel = {"mewsEnterpriseId": support.HOTEL}
    link = {"providerMembershipId": identifier, "isLinked": True, "mewsCustomerId": support.HOTEL}
    return {
        support.SEARCH: hotel | {"memberFilter": {"email": support.GUEST["email"]}},
        support.ENROLL: hotel | {"customer": support.GUEST},
        support.LIST: hotel | {"providerMembershipIds": [identifier]},
        support.LINK: hotel | link,
    }


def statuses(server: support.Server, repository: Repository, changed: dict[str, dict]) -> dict[str, int]:
    """Call all of today's operations, and `changed` has other requests; a 200 must conform to the new contract."""
    served = contract.load(repository.root / CONTRACT)
    enrolled = server.enroll(support.GUEST)
    requests = bodies(enrolled.json()["membership"]["providerMembershipId"])
    found = {}
    for name, request in requests.items():
        operation = support.operation(name)
        answer = call(server, operation.method, operation.path, request | changed.get(name, {}))
        found[name] = answer.status_code
        if answer.status_code == 200:
            [validator] = [
                other.answer
                for other in served.operations.values()
                if (other.method, other.path) == (operation.method, operation.path)
            ]
            validator.validate(answer.json())
    return found


def call(server: support.Server, method: str, path: str, body: dict) -> support.httpx.Response:
    headers = {"Authorization": f"Bearer {server.token}"}
    return server.client.request(method, server.url + path, headers=headers, json=body)
