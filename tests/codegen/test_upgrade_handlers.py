"""Handlers are carried over by replacing a name in their `def` line, and nothing else."""

from pathlib import Path

import pytest

from codegen import schemas, upgrade_handlers
from codegen.upgrade_handlers import CarriedOver, carry_over
from tests.codegen.upgrade_repository import operation_in
from tests.support import ENROLL, LINK, LIST, SEARCH

OLD, NEW = "admit_guest", "enroll_person"
ODD = {
    "odd formatting": "import  flask ;x=1\n@decorated( )\ndef  admit_guest( *,body ) :  return  {'a':1 ,}   \n",
    "asynchronous": "async  def admit_guest(): ...\n",
    "a tab": "def\tadmit_guest(*, body): ...\n",
    "no trailing newline": "def admit_guest(): return 1",
    "Windows line ends": "# a\r\ndef admit_guest():\r\n    return 1\r\n# b\r\n",
    "a byte order mark": "\ufeffx = 'ł'\r\ndef admit_guest(): ...",
    "an encoding": "# coding: latin-1\nx = 'é'\ndef admit_guest(): return 'é'\n",
    "a form feed": "x = 1\n\x0c\ndef admit_guest(): ...\n\x0c",
    "a branch": "if True:\n    def admit_guest(): ...\n",
}


def document_with(names: dict[str, str]) -> dict:
    """The contract with operationIds of this file's own, and these instead of some."""
    document = schemas.load_contract()
    for name, operation_id in (NAMES | names).items():
        operation_in(document, name)["operationId"] = operation_id
    return document


NAMES = {SEARCH: "findGuests", ENROLL: "admitGuest", LIST: "showCards", LINK: "tieCard"}
CONTRACT = document_with({})
RENAMED = document_with({ENROLL: "enrollPerson"})


def carried(root: Path, text: bytes, after: dict) -> CarriedOver:
    """Carry handlers over; those of the other operations are there."""
    (root / "handlers").mkdir()
    (root / "handlers" / "members.py").write_bytes(text)
    (root / "handlers" / "memberships.py").write_bytes(b"def show_cards(): ...\ndef tie_card(): ...\n")
    found = carry_over(CONTRACT, after, root)
    assert (root / "handlers" / "members.py").read_bytes() == text
    return found


OTHER = b"\ndef find_guests(): ...\n"


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_only_the_name_changes_however_a_module_is_written(text, tmp_path):
    old = text.encode("latin-1" if "latin-1" in text else "utf-8") + OTHER
    found = carried(tmp_path, old, RENAMED)
    assert found.files == {Path("handlers/members.py"): old.replace(OLD.encode(), NEW.encode())}
    assert [pair.new.operation_id for pair in found.renamed] == ["enrollPerson"]


def test_the_name_in_texts_nested_functions_and_longer_names_stays(tmp_path):
    old = (
        b'"""\ndef admit_guest(): of old\n"""\ndef outer():\n    def admit_guest(): ...\n'
        b"class Y:\n    def admit_guest(self): ...\ndef admit_guests(): ...  # def admit_guest(\n"
    )
    written = old + b"def %s(): return admit_guests()\n" + OTHER
    found = carried(tmp_path, written.replace(b"%s", OLD.encode()), RENAMED)
    assert found.files == {Path("handlers/members.py"): written.replace(b"%s", NEW.encode())}


def test_two_operations_may_swap_their_names(tmp_path):
    text = b"def admit_guest(): return 1\ndef find_guests(): return 2\n"
    found = carried(tmp_path, text, document_with({ENROLL: "findGuests", SEARCH: "admitGuest"}))
    swapped = b"def find_guests(): return 1\ndef admit_guest(): return 2\n"
    assert found.files == {Path("handlers/members.py"): swapped}


def test_a_name_that_is_taken_is_not_given_twice(tmp_path):
    found = carried(tmp_path, b"def admit_guest(): ...\ndef enroll_person(): ...\n" + OTHER, RENAMED)
    assert (found.files, found.renamed, found.stubs) == ({}, [], [])
    assert [pair.old.function for pair in found.kept] == [OLD]


def test_what_is_no_function_stays_and_a_stub_serves(tmp_path):
    text = b"from elsewhere import admit_guest\n" + OTHER
    found = carried(tmp_path, text, RENAMED)
    assert found.files[Path("handlers/members.py")].startswith(text)
    assert [stub.function for stub in found.stubs] == [NEW]
    assert [pair.old.function for pair in found.kept] == [OLD]


def test_another_tag_leaves_the_function_where_it_is_and_adds_a_stub(tmp_path):
    after = document_with({ENROLL: "enrollPerson"})
    operation_in(after, ENROLL)["tags"] = ["People"]
    found = carried(tmp_path, b"def admit_guest(): ...\n" + OTHER, after)
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
