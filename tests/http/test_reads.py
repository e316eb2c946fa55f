"""Requests that only read wait for no writer; what they leave behind is written later."""

import time
import uuid

import pytest

from models import programs, tokens
from models.clock import system_clock
from models.database import database, session
from models.tables import Enterprise, Token
from tests.support import LIST

LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgres": "BEGIN; LOCK TABLE enterprise, token IN EXCLUSIVE MODE"}


def eventually(condition) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def fresh_token(server):
    with session():
        text, row = tokens.create(f"reader-{uuid.uuid4()}", system_clock())
    yield text, row.name
    with session():
        Token.delete().where(Token.name == row.name).execute()


def test_a_read_with_a_new_token_from_a_new_hotel_waits_for_no_writer(server, engine, fresh_token):
    text, name = fresh_token
    hotel = str(uuid.uuid4())
    with session():
        for statement in LOCKS[engine].split("; "):
            database.execute_sql(statement)
        try:
            body = {"mewsEnterpriseId": hotel, "providerMembershipIds": ["unknown"]}
            answer = server.call(LIST, body, token=text, timeout=1)
        finally:
            database.execute_sql("ROLLBACK")
    assert answer.status_code == 200

    def is_written() -> bool:
        server.call(LIST, body, token=text)
        with session():
            used = Token.get(Token.name == name).last_used_at
            return used is not None and Enterprise.select().where(Enterprise.mews_enterprise_id == hotel).exists()

    eventually(is_written)


def test_the_providers_name_of_a_hotel_is_kept_and_follows_a_change(server):
    hotel = str(uuid.uuid4())

    def name_after_call(**names: str) -> str:
        server.call(LIST, {"mewsEnterpriseId": hotel, "providerMembershipIds": ["x"], **names})
        eventually(lambda: any(row.mews_enterprise_id == hotel for row in hotels()))
        return hotels()[0].provider_enterprise_id

    def hotels() -> list:
        with session():
            return programs.list_enterprises()

    name_after_call(providerEnterpriseId="north")
    eventually(lambda: name_after_call() == "north")
    eventually(lambda: name_after_call(providerEnterpriseId="south") == "south")
    assert name_after_call() == "south"
