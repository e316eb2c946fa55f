"""How the house is built: who imports whom, what only the contract may say, and how large things may grow."""

import ast
import configparser
import copy
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openapi_spec_validator
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app import contract
from app.cli import COMMANDS
from app.openapi31 import HandlerResolver, MissingHandlers, stray_handlers

ROOT = Path(__file__).parents[2]
OURS = {"app", "handlers", "models", "codegen", "certify", "frontdesk", "tests"}
MAY_IMPORT = {
    "app": {"app", "handlers", "models"},
    "handlers": {"handlers", "models"},
    "models": {"models"},
    "frontdesk": {"frontdesk", "app"},
}
# A command imports it when it runs, and not before.
MAY_IMPORT_LATE = {
    "app/cli/spec.py": {"codegen"},
    "app/cli/certify.py": {"certify"},
    "app/cli/frontdesk.py": {"frontdesk"},
}
# The kit judges from outside: of ours it knows how a contract is read, and the version.
KIT_MAY_IMPORT = {"app.contract", "codegen.comparison"}
GENERATED = ROOT / "handlers" / "schemas.py"
LONGEST_MODULE, LONGEST_CREATE_APP = 300, 40
# Numbers that happen to equal a limit of the contract, and have nothing to do with it.
COINCIDENCES = {("app/validation.py", 100): "the longest unknown name that a pointer repeats"}
MOST_MODULES = 1250  # that serving loads; there were 1,204, of which 56 of app, handlers and models


def modules(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


WRITTEN = [path for path in modules("app", "handlers", "frontdesk") if path != GENERATED]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the module in full"
            names.add(str(node.module))
    return {name.partition(".")[0] for name in names}


def constants(path: Path) -> Iterator[ast.Constant]:
    """The literals of a module that are no docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)


def walk(node: object) -> Iterator[dict]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    for item in node if isinstance(node, list) else ():
        yield from walk(item)


@pytest.fixture(scope="module")
def document() -> dict:
    return contract.load().document


@pytest.mark.parametrize("path", modules(*MAY_IMPORT), ids=relative)
def test_imports_point_from_app_to_handlers_to_models(path):
    package = relative(path).partition("/")[0]
    assert imported(path) & OURS <= MAY_IMPORT[package] | MAY_IMPORT_LATE.get(relative(path), set())


@pytest.mark.parametrize("path", modules("certify"), ids=relative)
def test_the_kit_knows_nothing_of_our_server(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            of_app = node.module == "app" and {alias.name for alias in node.names} <= {"contract", "__version__"}
            names |= {"app.contract"} if of_app else {str(node.module)}
    ours = {name for name in names if name.partition(".")[0] in OURS - {"certify"}}
    assert ours <= KIT_MAY_IMPORT


def test_the_front_desk_knows_the_contract_and_nothing_else_of_the_server():
    lines = [line for path in modules("frontdesk") for line in path.read_text().splitlines()]
    assert {line.split()[1] for line in lines if re.match(r" *(from|import) app\b", line)} == {"app.contract"}


def test_serving_loads_nothing_that_only_other_commands_need():
    """What stays of it is what connexion, Flask, limits and structlog load by themselves, such as requests and rich."""
    program = "import sys, app.cli.serve, app.application, app.openapi31, app.server; print(list(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(ast.literal_eval(done.stdout))
    assert {"connexion", "app.lanes"} < loaded
    of_commands = {name.removeprefix("app.cli.") for name in loaded if name.startswith("app.cli.")}
    assert of_commands == {"common", "serve", "shared_folder"}
    needless = {
        "codegen",
        "certify",
        "frontdesk",
        "flask_wtf",
        "app.population",
        "schemathesis",
        "openapi_spec_validator",
    }
    needless |= {f"models.{name}" for name in ("backup", "bulk", "expanding", "integrity", "migrations", "rekeying")}
    assert loaded & needless == set()
    # Each takes its part of the start, see docs/performance.md. More need a reason, of which this number is to tell.
    assert len(loaded) <= MOST_MODULES


def test_what_is_vendored_is_what_its_readme_says():
    folder = ROOT / "frontdesk" / "static"
    digest = hashlib.sha256((folder / "htmx.min.js").read_bytes()).hexdigest()
    assert f"| SHA-256 | `{digest}` |" in (folder / "README.md").read_text()


def test_codegen_and_what_the_kit_needs_are_imported_only_when_their_commands_run():
    modules = ", ".join(f"app.cli.{name}" for name in COMMANDS)
    late = ("codegen", "certify.run", "schemathesis", "hypothesis", "openapi_spec_validator")
    program = f"import sys, app.application, {modules}; print([name for name in {late} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("path", WRITTEN, ids=relative)
def test_the_contract_alone_says_its_paths_and_limits(path, document):
    keywords = ("maxLength", "minLength", "maxItems", "minItems", "maximum", "minimum")
    limits = {schema[keyword] for schema in walk(document) for keyword in keywords if keyword in schema} - {0, 1}
    found = [node.value for node in constants(path)]
    texts = [value for value in found if isinstance(value, str)]
    assert [text for text in texts for address in document["paths"] if address in text] == []
    numbers = {value for value in found if isinstance(value, int) and value in limits}
    assert {number for number in numbers if (relative(path), number) not in COINCIDENCES} == set()


@pytest.mark.parametrize("path", WRITTEN, ids=relative)
def test_the_contract_alone_says_its_allowed_values(path, document):
    allowed = {value for schema in walk(document) if isinstance(schema.get("enum"), list) for value in schema["enum"]}
    assert allowed
    assert {node.value for node in constants(path) if isinstance(node.value, str)} & allowed == set()


def test_no_handler_is_stray():
    assert stray_handlers([contract.load()]) == []


def test_a_contract_with_further_operations_needs_handlers_for_each(document):
    changed = copy.deepcopy(document)
    path, item = next(iter(changed["paths"].items()))
    method, operation = next(iter(item.items()))
    changed["paths"]["/forgotten"] = {method: operation | {"operationId": "forgetMember"}}
    changed["paths"]["/points"] = {method: operation | {"operationId": "addPoints", "tags": ["Points"]}}
    with pytest.raises(MissingHandlers) as raised:
        HandlerResolver(contract.Contract(changed), lambda function, _: function)
    told = str(raised.value)
    assert f"{method.upper()} /forgotten: handlers.members.forget_member" in told
    assert f"{method.upper()} /points: handlers.points.add_points" in told
    assert f"{path}:" not in told


def test_the_contract_is_valid_openapi(document):
    openapi_spec_validator.validate(document)


def test_the_contract_is_the_one_that_its_readme_describes(document):
    text = (ROOT / "spec" / "README.md").read_text()
    digest = hashlib.sha256(contract.SPECIFICATION.read_bytes()).hexdigest()
    assert f"| SHA-256 | `{digest}` |" in text
    assert f"| spec version | {document['info']['version']} |" in text


def test_every_component_of_the_contract_is_in_its_readme(document):
    text = (ROOT / "spec" / "README.md").read_text()
    responses = {name for name in document["components"]["schemas"] if name.endswith("Response")}
    identifiers = {"mewsEnterpriseId", "providerEnterpriseId"}
    assert len(responses) == 4
    assert {name for name in document["components"]["schemas"] if f"`{name}`" not in text} == responses | identifiers


def test_create_app_is_a_table_of_contents():
    tree = ast.parse((ROOT / "app" / "application.py").read_text())
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "create_app"]
    assert function.end_lineno - function.lineno + 1 <= LONGEST_CREATE_APP


def test_modules_are_short():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in modules(*(OURS - {"tests"}))}
    del lengths[relative(GENERATED)]
    assert {name: length for name, length in lengths.items() if length >= LONGEST_MODULE} == {}


def test_connexion_is_touched_in_one_module():
    touching = {relative(path) for path in modules("app", "handlers", "models") if "connexion" in imported(path)}
    assert touching == {"app/openapi31.py"}


LOCKS = {"requirements.lock": ["certify", "development"], "bench/requirements.lock": ["bench"]}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_locked_by_hash(lock):
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    extras = [parser["options.extras_require"][extra] for extra in LOCKS[lock]]
    lines = "\n".join([parser["options"]["install_requires"], *extras]).split("\n")
    wanted = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines if line.strip()}
    locked = locked_versions(lock)
    assert wanted.keys() - locked.keys() == set()
    wrong = [str(wish) for name, wish in wanted.items() if not all(map(wish.specifier.contains, locked[name]))]
    assert wrong == []


def locked_versions(lock: str) -> dict[str, set[str]]:
    """The versions of each package, of which there are several if they depend on the version of Python."""
    pattern = r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+).*\\\n +--hash=sha256:"
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(pattern, (ROOT / lock).read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


def test_every_extra_is_in_a_lock():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    assert sorted(parser["options.extras_require"]) == sorted(extra for extras in LOCKS.values() for extra in extras)


def test_benchmarks_run_with_the_locked_versions():
    """Their packages are put beside the others, and must not replace any."""
    every, bench = map(locked_versions, LOCKS)
    assert {name for name in every.keys() & bench.keys() if not bench[name] <= every[name]} == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_that_is_locked_has_a_hash(lock):
    entries = re.split(r"^(?=[A-Za-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_package_is_described_in_setup_cfg_alone():
    assert "[project]" not in (ROOT / "pyproject.toml").read_text()
    assert not (ROOT / "setup.py").exists()
