"""Handlers are carried over by replacing a name in their `def` line, and nothing else."""

import copy
from pathlib import Path

import pytest

from codegen import schemas, upgrade_handlers
from codegen.upgrade_handlers import CarriedOver, carry_over
from tests import support

CONTRACT = schemas.load_contract()
OLD, NEW = "enroll_customer", "enroll_person"
ODD = {
    "odd formatting": "import  flask ;x=1\n@decorated( )\ndef  enroll_customer( *,body ) :  return  {'a':1 ,}   \n",
    "asynchronous": "async  def enroll_customer(): ...\n",
    "a tab": "def\tenroll_customer(*, body): ...\n",
    "no trailing newline": "def enroll_customer(): return 1",
    "Windows line ends": "# a\r\ndef enroll_customer():\r\n    return 1\r\n# b\r\n",
    "a byte order mark": "\ufeffx = 'ł'\r\ndef enroll_customer(): ...",
    "an encoding": "# coding: latin-1\nx = 'é'\ndef enroll_customer(): return 'é'\n",
    "a form feed": "x = 1\n\x0c\ndef enroll_customer(): ...\n\x0c",
    "a branch": "if True:\n    def enroll_customer(): ...\n",
}


def document_with(**names: str) -> dict:
    """The contract with other operationIds."""
    document = copy.deepcopy(CONTRACT)
    for name, other in names.items():
        operation_in(document, name)["operationId"] = other
    return document


def operation_in(document: dict, name: str) -> dict:
    operation = support.OPERATIONS[name]
    return document["paths"][operation.path][operation.method.lower()]


RENAMED = document_with(enrollCustomer="enrollPerson")


def carried(root: Path, text: bytes, after: dict) -> CarriedOver:
    """Carry handlers over; those of the other operations are there."""
    (root / "handlers").mkdir()
    (root / "handlers" / "members.py").write_bytes(text)
    (root / "handlers" / "memberships.py").write_bytes(b"def list_memberships(): ...\ndef link_membership(): ...\n")
    found = carry_over(CONTRACT, after, root)
    assert (root / "handlers" / "members.py").read_bytes() == text
    return found


SEARCH = b"\ndef search_members(): ...\n"


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_only_the_name_changes_however_a_module_is_written(text, tmp_path):
    old = text.encode("latin-1" if "latin-1" in text else "utf-8") + SEARCH
    found = carried(tmp_path, old, RENAMED)
    assert found.files == {Path("handlers/members.py"): old.replace(OLD.encode(), NEW.encode())}
    assert [pair.new.operation_id for pair in found.renamed] == ["enrollPerson"]


def test_the_name_in_texts_nested_functions_and_longer_names_stays(tmp_path):
    old = (
        b'"""\ndef enroll_customer(): of old\n"""\ndef outer():\n    def enroll_customer(): ...\n'
        b"class Y:\n    def enroll_customer(self): ...\ndef enroll_customers(): ...  # def enroll_customer(\n"
    )
    written = old + b"def %s(): return enroll_customers()\n" + SEARCH
    found = carried(tmp_path, written.replace(b"%s", OLD.encode()), RENAMED)
    assert found.files == {Path("handlers/members.py"): written.replace(b"%s", NEW.encode())}


def test_two_operations_may_swap_their_names(tmp_path):
    text = b"def enroll_customer(): return 1\ndef search_members(): return 2\n"
    found = carried(tmp_path, text, document_with(enrollCustomer="searchMembers", searchMembers="enrollCustomer"))
    swapped = b"def search_members(): return 1\ndef enroll_customer(): return 2\n"
    assert found.files == {Path("handlers/members.py"): swapped}


def test_a_name_that_is_taken_is_not_given_twice(tmp_path):
    found = carried(tmp_path, b"def enroll_customer(): ...\ndef enroll_person(): ...\n" + SEARCH, RENAMED)
    assert (found.files, found.renamed, found.stubs) == ({}, [], [])
    assert [pair.old.function for pair in found.kept] == [OLD]


def test_what_is_no_function_stays_and_a_stub_serves(tmp_path):
    text = b"from elsewhere import enroll_customer\n" + SEARCH
    found = carried(tmp_path, text, RENAMED)
    assert found.files[Path("handlers/members.py")].startswith(text)
    assert [stub.function for stub in found.stubs] == [NEW]
    assert [pair.old.function for pair in found.kept] == [OLD]


def test_another_tag_leaves_the_function_where_it_is_and_adds_a_stub(tmp_path):
    after = document_with(enrollCustomer="enrollPerson")
    operation_in(after, "enrollCustomer")["tags"] = ["People"]
    found = carried(tmp_path, b"def enroll_customer(): ...\n" + SEARCH, after)
    assert Path("handlers/members.py") not in found.files
    assert b"def enroll_person(*, body: dict) -> dict:" in found.files[Path("handlers/people.py")]
    assert (found.renamed, [pair.new.operation_id for pair in found.moved]) == ([], ["enrollPerson"])


def test_path_parameters_with_other_names_are_the_same_path():
    assert upgrade_handlers.generic("GET /members/{id}") == upgrade_handlers.generic("GET /members/{memberId}")
    assert upgrade_handlers.generic("GET /members/{id}") != upgrade_handlers.generic("PUT /members/{id}")


def test_a_stub_is_found_in_the_line_that_says_so():
    text = b"def a():\n    return 1\ndef b():\n    '''B.'''\n    raise NotImplementedError('b')\n"
    assert [upgrade_handlers.stub_line(text, name) for name in "abc"] == [None, 5, None]
    assert [upgrade_handlers.line_of(text, name) for name in "abc"] == [1, 3, None]
