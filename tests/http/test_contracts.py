"""Contracts that are written otherwise than ours, served beside it: over HTTP, with handlers of their own."""

import copy
import pathlib
from collections.abc import Callable

import pytest
import yaml

from models.clock import system_clock
from tests import support
from tests.support import GUEST

BASE_PATH = "/other"


@pytest.fixture
def beside(tmp_path: pathlib.Path) -> Callable[[dict], dict]:
    """A function that gives the settings under which a document is served beside the contract."""

    def write(document: dict) -> dict:
        path = tmp_path / "other.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return {"second_contract": str(path), "second_base_path": BASE_PATH}

    return write


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_charset_in_the_contract_changes_nothing_for_callers(database_url, beside):
    document = copy.deepcopy(support.CONTRACT.document)
    operation = support.operation(support.ENROLL)
    body = document["paths"][operation.path][operation.method.lower()]["requestBody"]
    body["content"] = {"application/json; charset=utf-8": body["content"].pop("application/json")}
    token = support.prepare(database_url)
    with support.threaded(database_url, token, system_clock, **beside(document)) as server:
        expected = server.enroll(GUEST).json()
        server.base_path = BASE_PATH
        for content_type in ("application/json", "application/json; charset=utf-8"):
            answer = server.enroll(GUEST, headers={"Content-Type": content_type})
            assert (answer.status_code, answer.json()) == (200, expected)
        assert server.enroll({"lastName": 7}).status_code == 400
