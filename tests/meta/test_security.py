"""What docs/security.md says: a row for every requirement of level 1, tests that exist, rules that are kept."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.documents import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
# The requirements of level 1 of ASVS 5.0.0, as its table of requirements (CSV) numbers them.
LEVEL_1 = """
    1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.3.1 1.3.2 1.5.1 2.1.1 2.2.1 2.2.2 2.3.1 3.2.1 3.2.2 3.3.1 3.4.1 3.4.2
    3.5.1 3.5.2 3.5.3 4.1.1 4.4.1 5.2.1 5.2.2 5.3.1 5.3.2 6.1.1 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5 6.2.6 6.2.7
    6.2.8 6.3.1 6.3.2 6.4.1 6.4.2 7.2.1 7.2.2 7.2.3 7.2.4 7.4.1 7.4.2 8.1.1 8.2.1 8.2.2 8.3.1 9.1.1 9.1.2
    9.1.3 9.2.1 10.4.1 10.4.2 10.4.3 10.4.4 10.4.5 11.3.1 11.3.2 11.4.1 12.1.1 12.2.1 12.2.2 13.4.1 14.2.1
    14.3.1 15.1.1 15.2.1 15.3.1
"""
WITHOUT_TEST = ("Does not apply: ", "Yours: ")
# They run what they are given, as a program or as Python, or read XML.
DANGEROUS = {"subprocess", "pty", "pickle", "marshal", "shelve", "xml", "lxml", "defusedxml"}
RUNNING = {"eval", "exec", "compile", "system", "popen", "execv", "execve", "execvp", "spawnv", "posix_spawn"}
SERVED = """
import sys, app.server
print(*(module.__file__ for name, module in sys.modules.items() if name.startswith(("app.", "models."))))
"""


def rows(prefix: str) -> list[list[str]]:
    """The cells of the rows whose first cell begins so."""
    lines = [line for line in DOCUMENT.splitlines() if line.startswith(f"| {prefix}")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_requirement_of_level_1_has_its_row():
    assert [row[0].removeprefix("v5.0.0-") for row in rows("v5.0.0-")] == LEVEL_1.split()


@pytest.mark.parametrize("row", rows("v5.0.0-") + rows("API"), ids=lambda row: row[0])
def test_a_row_names_tests_that_exist_or_says_why_there_is_none(row):
    _, about, how, shown = row
    named = re.findall(r"`([^`:]+)::(\w+)`", shown)
    assert about
    assert how.removeprefix("Does not apply:").removeprefix("Yours:").strip()
    assert named or (shown == "no test" and how.startswith(WITHOUT_TEST))
    assert [f"{path}::{name}" for path, name in named if name not in functions(ROOT / path)] == []


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_item_of_the_api_top_ten_has_its_attack():
    attacks = [row[3].partition("::")[2].strip("`") for row in rows("API")]
    assert [row[0] for row in rows("API")] == [f"API{number}" for number in range(1, 11)]
    assert [name.startswith(f"test_api{number}_") for number, name in enumerate(attacks, 1)] == [True] * 10


def test_what_serves_requests_runs_nothing_else():
    done = subprocess.run([sys.executable, "-c", SERVED], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = [*map(Path, done.stdout.split()), *(ROOT / "handlers").glob("*.py")]
    assert {"server.py", "security.py", "members.py", "search.py"} <= {path.name for path in modules}
    assert {(path.name, danger) for path in modules for danger in dangers(path)} == set()


def dangers(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)]
            found |= {name.partition(".")[0] for name in names} & DANGEROUS
        elif isinstance(node, ast.Call):
            called = node.func
            found |= {called.id} & RUNNING if isinstance(called, ast.Name) else set()
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "os":
                found |= {called.attr} & RUNNING
    return found


def test_dangers_would_be_noticed(tmp_path):
    (tmp_path / "x.py").write_text(
        "import subprocess, re\nfrom xml.etree import ElementTree\neval('1')\nos.system('x')\n"
    )
    assert dangers(tmp_path / "x.py") == {"subprocess", "xml", "eval", "system"}


def test_the_proxy_of_the_readme_speaks_tls_and_tells_who_asks():
    proxy = re.search(r"```nginx\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    lines = {" ".join(line.partition("#")[0].split()) for line in proxy.splitlines()}
    assert lines >= {
        "listen 443 ssl;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
    }
    assert "listen 80" not in proxy


def make(*words: str) -> str:
    """What `make` would run."""
    return subprocess.run(["make", "-nB", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_audit_asks_about_every_lock():
    [command] = [line for line in make("audit").splitlines() if "pip-audit" in line]
    locks = {str(path.relative_to(ROOT)) for path in ROOT.glob("**/requirements.lock") if ".venv" not in path.parts}
    assert set(re.findall(r"-r (\S+)", command)) == locks
    assert "--strict" in command.split()


def test_bandit_judges_everything_that_is_installed_and_says_why_not():
    [command] = [line for line in make("check").splitlines() if "bandit" in line]
    assert command.split()[-7:] == ["app", "handlers", "models", "codegen", "certify", "frontdesk", "bench"]
    skipped = re.search(r"skips = \[\n(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)[1]
    assert [line for line in skipped.splitlines() if not re.fullmatch(r' *"B\d+", # .{20,}', line)] == []
