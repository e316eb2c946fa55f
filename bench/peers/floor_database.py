"""The floor's statements: one prepared statement for each operation on Postgres, and as few as SQLite needs.

SQLite writes nothing within a query, so there an operation that writes is a transaction of several statements.
"""

import datetime
import os
import sqlite3
from typing import Any, NamedTuple

import orjson
import psycopg

from bench.peers import common, scoring
from models import database
from models.enrollment import ADDRESS_FIELDS, PERSON_FIELDS

KEYS = (
    *("email_key", "phone_key", "phone_digits_key", "first_name_key", "last_name_key", "first_name_code"),
    *("last_name_code", "city_key", "postal_code_key", "key_version"),
)
MEMBER = ("program_id", *PERSON_FIELDS, *ADDRESS_FIELDS, *KEYS, "identity_key", "created_at")
MEMBERSHIP = (
    *("program_id", "member_id", "provider_membership_id", "membership_number", "number_key"),
    *("status", "points", "created_at"),
)
EVENT = ("membership_id", "kind", "actor", "enterprise_id", "mews_customer_id", "request_id", "happened_at")
CASTS = {"birthday": "::date", "key_version": "::smallint", "program_id": "::bigint", "created_at": "::timestamptz"}
CASTS |= {"points": "::bigint"}
# In the order in which `scoring.describe` takes them.
DESCRIBED = (
    "provider_membership_id, membership.status, membership_number, tier, points, "
    "expires_at, expires_at_offset, deeplink_url"
)
DESCRIBED_COLUMNS = 8
HERE = "membership.program_id = :program_id AND membership.deleted_at IS NULL"
SAME_PERSON = """
    SELECT id FROM member WHERE program_id = :program_id AND identity_key = :identity_key
    UNION SELECT id FROM member WHERE program_id = :program_id AND email_key = :email_key
"""
KNOWN = f"""
    SELECT {DESCRIBED}, member.id AS member_id, first_name, last_name, identity_key IS NULL AS is_imported
    FROM membership JOIN member ON member.id = membership.member_id WHERE member.id IN ({SAME_PERSON})
"""  # noqa: S608 (our own names)
LINKABLE = "(status = 'pending' OR (status = 'enrolled' AND (expires_at IS NULL OR expires_at > :now)))"
ENDED = "enterprise_id = :enterprise_id AND (:all_customers OR mews_customer_id = :customer)"
IDENTITY = """
    SELECT token.name, program.name, last_used_at FROM token LEFT JOIN program ON program.id = token.program_id
    WHERE digest = :digest AND revoked_at IS NULL AND expires_at > :now
"""
NOTE_USE = (
    "UPDATE token SET last_used_at = :now WHERE name = :name AND (last_used_at IS NULL OR last_used_at <= :before)"
)
PLACE = """
    SELECT program.id, program.name, requires_confirmation, required_fields, number_pattern, visible_statuses,
        enterprise.id, provider_enterprise_id
    FROM program LEFT JOIN enterprise
    ON enterprise.program_id = program.id AND mews_enterprise_id = :asked ORDER BY program.id
"""
RECORD = """
    INSERT INTO enterprise (program_id, mews_enterprise_id, provider_enterprise_id, created_at)
    VALUES (:program_id, :asked, :named, :now) ON CONFLICT (mews_enterprise_id) DO UPDATE
    SET provider_enterprise_id = COALESCE(excluded.provider_enterprise_id, enterprise.provider_enterprise_id)
"""


class Found(NamedTuple):
    """A membership with the names of its member: its columns for `scoring.describe`, and what tells people apart."""

    described: tuple
    name: tuple[str | None, str | None]
    is_imported: bool


def _found(row: tuple) -> Found:
    _, first_name, last_name, is_imported = row[DESCRIBED_COLUMNS:]
    return Found(row[:DESCRIBED_COLUMNS], (first_name, last_name), bool(is_imported))


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)})"


def _named(columns: tuple[str, ...]) -> str:
    return ", ".join(f":{column}" for column in columns)


class Postgres:
    """One connection to Postgres, by psycopg."""

    LIST = f"SELECT {DESCRIBED} FROM membership WHERE {HERE} AND provider_membership_id = ANY(ARRAY(SELECT json_array_elements_text(:asked)))"  # noqa: S608, E501
    ENROLL = f"""
        WITH known AS ({KNOWN}), new_member AS (
            {_insert("member", MEMBER)}
            SELECT {", ".join(f":{column}{CASTS.get(column, '::text')}" for column in MEMBER)}
            WHERE NOT EXISTS (SELECT FROM known) ON CONFLICT DO NOTHING RETURNING id
        ), new AS (
            {_insert("membership", MEMBERSHIP)}
            SELECT :program_id::bigint, id, :provider_membership_id, :membership_number, :number_key, :status,
                0, :created_at::timestamptz
            FROM new_member RETURNING *
        ), noted AS (
            {_insert("event", EVENT)}
            SELECT id, 'enrolled', :actor, :enterprise_id::bigint, NULL, :request_id, created_at FROM new
        )
        SELECT known.*, FALSE FROM known
        UNION ALL SELECT {DESCRIBED.replace("membership.", "")}, NULL, NULL, NULL, FALSE, TRUE FROM new AS membership
        ORDER BY member_id
    """  # noqa: S608 (our own names)
    ONE = f"SELECT {DESCRIBED}, id FROM membership WHERE {HERE} AND provider_membership_id = :identifier FOR UPDATE"  # noqa: S608
    NOTED = f"""
        {_insert("event", EVENT)}
        SELECT one.id, :kind, :actor, :enterprise_id::bigint, NULLIF(mews_customer_id, ''), :request_id,
            :now::timestamptz
        FROM one, changed
    """  # noqa: S608 (our own names)
    LINK = f"""
        WITH one AS ({ONE}), changed AS (
            INSERT INTO link (membership_id, enterprise_id, mews_customer_id, created_at)
            SELECT id, :enterprise_id::bigint, :customer, :now::timestamptz FROM one WHERE {LINKABLE}
            ON CONFLICT DO NOTHING RETURNING mews_customer_id
        ), noted AS ({NOTED}) SELECT {DESCRIBED.replace("membership.", "")} FROM one
    """  # noqa: S608 (our own names)
    UNLINK = f"""
        WITH one AS ({ONE}), changed AS (
            DELETE FROM link USING one WHERE membership_id = one.id AND {ENDED} RETURNING mews_customer_id
        ), noted AS ({NOTED}) SELECT {DESCRIBED.replace("membership.", "")} FROM one
    """  # noqa: S608 (our own names)

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, options="-c statement_timeout=3000")
        self._connection.prepare_threshold = 0
        self._texts: dict[str, str] = {}
        scoring.Statements("%s", self._connection.execute).use()

    def rows(self, statement: str, values: dict[str, Any]) -> list[tuple]:
        """Return the rows of a statement of this module."""
        text = self._texts.get(statement) or self._texts.setdefault(statement, _percent(statement))
        cursor = self._connection.execute(text, values)
        return cursor.fetchall() if cursor.description else []

    def list_memberships(self, program_id: int, asked: list[str]) -> list[tuple]:
        """Return the columns of those memberships that there are."""
        return self.rows(self.LIST, {"program_id": program_id, "asked": orjson.dumps(asked).decode()})

    def enroll(self, values: dict[str, Any]) -> tuple[list[Found], tuple | None]:
        """Return the members that have the identity or e-mail, and the new membership where there are none.

        Raises:
            psycopg.errors.UniqueViolation: the membership number is taken.
        """
        rows = self.rows(self.ENROLL, values)
        if rows and rows[0][-1]:
            return [], rows[0][:DESCRIBED_COLUMNS]
        return [_found(row[:-1]) for row in rows], None

    def link(self, values: dict[str, Any], *, is_linked: bool) -> tuple | None:
        """Link or unlink a membership that may be, and return its columns, or None where there is none."""
        rows = self.rows(self.LINK if is_linked else self.UNLINK, values)
        return rows[0] if rows else None


class Sqlite:
    """One connection to SQLite, whose statements the driver keeps prepared."""

    LIST = f"SELECT {DESCRIBED} FROM membership WHERE {HERE} AND provider_membership_id IN (SELECT value FROM json_each(:asked))"  # noqa: S608, E501
    ADD_MEMBER = f"{_insert('member', MEMBER)} VALUES ({_named(MEMBER)}) ON CONFLICT DO NOTHING"
    ADD_MEMBERSHIP = f"{_insert('membership', MEMBERSHIP)} VALUES ({_named(MEMBERSHIP)})"
    ONE = f"SELECT {DESCRIBED}, id, {LINKABLE} FROM membership WHERE {HERE} AND provider_membership_id = :identifier"  # noqa: S608
    LINK = """
        INSERT INTO link (membership_id, enterprise_id, mews_customer_id, created_at)
        VALUES (:membership_id, :enterprise_id, :customer, :now) ON CONFLICT DO NOTHING RETURNING mews_customer_id
    """
    UNLINK = f"DELETE FROM link WHERE membership_id = :membership_id AND {ENDED} RETURNING mews_customer_id"  # noqa: S608
    NOTED = f"{_insert('event', EVENT)} VALUES ({_named(EVENT)})"

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=2)
        for pragma in common.PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        scoring.Statements("?", self._connection.execute).use()

    def rows(self, statement: str, values: dict[str, Any]) -> list[tuple]:
        """Return the rows of a statement of this module."""
        return self._connection.execute(statement, _stored(values)).fetchall()

    def list_memberships(self, program_id: int, asked: list[str]) -> list[tuple]:
        """Return the columns of those memberships that there are."""
        rows = self.rows(self.LIST, {"program_id": program_id, "asked": orjson.dumps(asked).decode()})
        return [_read(row) for row in rows]

    def enroll(self, values: dict[str, Any]) -> tuple[list[Found], tuple | None]:
        """Return the members that have the identity or e-mail, and the new membership where there are none.

        Raises:
            sqlite3.IntegrityError: the membership number is taken.
        """
        values = _stored(values)
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            known = self._connection.execute(f"{KNOWN} ORDER BY member.id", values).fetchall()
            if known:
                return [_found(_read(row)) for row in known], None
            added = self._connection.execute(self.ADD_MEMBER, values).lastrowid
            added = self._connection.execute(self.ADD_MEMBERSHIP, values | {"member_id": added}).lastrowid
            self._note({"membership_id": added, "kind": "enrolled", "mews_customer_id": None}, values)
        names = ("provider_membership_id", "status", "membership_number")
        return [], (*(values[name] for name in names), None, 0, None, None, None)

    def link(self, values: dict[str, Any], *, is_linked: bool) -> tuple | None:
        """Link or unlink a membership that may be, and return its columns, or None where there is none."""
        values = _stored(values)
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            row = self._connection.execute(self.ONE, values).fetchone()
            if row is None:
                return None
            *described, identifier, is_linkable = row
            if is_linkable or not is_linked:
                statement = self.LINK if is_linked else self.UNLINK
                changed = self._connection.execute(statement, values | {"membership_id": identifier}).fetchall()
                for (customer,) in changed:
                    self._note({"membership_id": identifier, "mews_customer_id": customer or None}, values)
        return _read(tuple(described))

    def _note(self, event: dict[str, Any], values: dict[str, Any]) -> None:
        self._connection.execute(self.NOTED, {"happened_at": values["now"]} | values | event)


def _percent(statement: str) -> str:
    """Return a statement with psycopg's placeholders."""
    parts = statement.replace("::", "\0").split(":")
    named = [f"%({name})s{rest}" for name, rest in map(_word, parts[1:])]
    return "".join([parts[0], *named]).replace("\0", "::")


def _word(text: str) -> tuple[str, str]:
    end = next((place for place, sign in enumerate(text) if not (sign.isalnum() or sign == "_")), len(text))
    return text[:end], text[end:]


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as SQLite keeps them: dates and moments are texts."""
    return {name: _text(value) if isinstance(value, datetime.date) else value for name, value in values.items()}


def _text(value: datetime.date) -> str:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime.datetime) else value.isoformat()


def _read(row: tuple) -> tuple:
    moment = row[5]
    return (*row[:5], datetime.datetime.fromisoformat(moment), *row[6:]) if moment else row


def connect() -> Postgres | Sqlite:
    """Open the database that LOYALTY_DATABASE_URL names."""
    url = os.environ[common.VARIABLE]
    return Sqlite(str(database.sqlite_path(url))) if common.is_sqlite() else Postgres(url)
