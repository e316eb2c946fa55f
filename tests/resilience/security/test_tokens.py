"""What a token is made of, how little of it is kept, and that scanners find one that has leaked."""

import hashlib
import json
import math
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from models import schema, tokens
from models.clock import system_clock
from models.database import session
from models.tables import Token
from tests import support
from tests.meta.documents import ROOT, blocks

BLOCKS = {block.language: block.text for block in blocks("docs/security.md") if block.language in ("toml", "python")}
RULE = tomllib.loads(BLOCKS["toml"])["rules"][0]
PATTERN = re.compile(RULE["regex"])
NO_TOKEN = "loyalty_" + "0" * 72
FOLDERS = ("app", "bench", "codegen", "docs", "handlers", "models", "spec", "tests")
# How tokens get to where they should not be.
LEAKS = {
    "loyalty.env": "LOYALTY_TOKEN={}",
    "settings.yaml": "token: {}",
    "settings.json": '{{"authorization": "Bearer {}"}}',
    "notes.md": 'curl -H "Authorization: Bearer {}" https://loyalty.example.com/',
    "client.py": "TOKEN = '{}'  # for a moment",
    "access.log": '"GET /?access_token={}&x=1 HTTP/1.1" 401',
}


@pytest.fixture
def opened(database_url):
    """A new database."""
    opened = support.use_database(database_url)
    with session():
        schema.upgrade(opened, system_clock())
        yield opened


def create(count: int) -> list[str]:
    return [tokens.create(f"token {number}", system_clock())[0] for number in range(count)]


def entropy(text: str) -> float:
    """Bits in a character, as scanners estimate them (Shannon)."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def test_a_new_database_has_no_token(opened):
    assert tokens.list_tokens() == []


def test_tokens_have_256_random_bits(opened):
    made = create(200)
    bits = [f"{int(text.removeprefix(tokens.PREFIX)[:64], 16):0256b}" for text in made]
    assert len(set(bits)) == len(bits)
    ones = [sum(text[place] == "1" for text in bits) for place in range(256)]
    assert min(ones) > 40
    assert max(ones) < 160


def test_only_a_hash_of_a_token_is_kept(opened):
    [text] = create(1)
    [row] = Token.select().dicts()
    assert row["digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert text.removeprefix(tokens.PREFIX)[:16] not in repr(row)


def test_every_token_fits_the_documented_rule(opened):
    made = create(200)
    assert [text for text in made if not PATTERN.fullmatch(text)] == []
    assert min(map(entropy, made)) > RULE["entropy"] > entropy(NO_TOKEN)
    assert all(keyword in made[0] for keyword in RULE["keywords"])


def test_what_only_begins_like_a_token_does_not_fit_the_rule(opened):
    [text] = create(1)
    others = [text[:-1], text + "0", f"x{text}", text.upper(), text.replace("loyalty_", "loyalty-"), "loyalty_requests"]
    assert [other for other in others if PATTERN.search(other)] == []


def test_both_documented_rules_are_one():
    assert f'r"{RULE["regex"]}"' in BLOCKS["python"]


def test_a_scanner_finds_a_leaked_token_wherever_it_is(opened, tmp_path):
    text, plugin, folder = create(1)[0], tmp_path / "plugin.py", tmp_path / "leaked"
    plugin.write_text(BLOCKS["python"])
    folder.mkdir()
    for name, line in LEAKS.items():
        (folder / name).write_text(f"nothing here\n{line.format(text)}\n")
    assert scan(folder, plugin) == {name: [2] for name in LEAKS}


def scan(folder: Path, plugin: Path) -> dict[str, list[int]]:
    """The lines of each file where detect-secrets, with the plugin, finds one of our tokens."""
    command = [
        sys.executable,
        "-m",
        "detect_secrets",
        "scan",
        "--all-files",
        "--no-verify",
        "--plugin",
        str(plugin),
        ".",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return {
        name: [found["line_number"] for found in secrets if found["type"] == "Mews loyalty partner token"]
        for name, secrets in json.loads(done.stdout)["results"].items()
    }


def test_the_repository_holds_no_token():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix != ".pyc"]
    texts = [path.read_text("utf-8", "replace") for path in [*files, *ROOT.glob("*.*")] if path.is_file()]
    found = {token for text in texts for token in PATTERN.findall(text)}
    assert {token for token in found if entropy(token) > RULE["entropy"]} == set()
