"""Bearer tokens: issued once, kept as SHA-256, several live at a time so that Mews can rotate them."""

import datetime
import hashlib
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import peewee

from models.database import transaction
from models.errors import AlreadyExists, UnknownName
from models.retries import retry_on_conflict
from models.statements import Statement, any_of, given
from models.tables import Program, Token

# By the prefix people and secret scanners recognise a leaked token; the checksum spares a query for a mistyped one.
PREFIX = "loyalty_"
SECRET_BYTES = 32
CHECKSUM_DIGITS = 8
DEFAULT_LIFETIME = datetime.timedelta(days=365)
LAST_USE_RESOLUTION = datetime.timedelta(minutes=1)


@dataclass(frozen=True)
class Identity:
    """Whom a valid token stands for: its name, the one program that it is for (None: all), and its last noted use."""

    name: str
    program: str | None
    last_used_at: datetime.datetime | None = None


def _checksum(secret: str) -> str:
    return f"{zlib.crc32(secret.encode()):0{CHECKSUM_DIGITS}x}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def is_well_formed(token: str) -> bool:
    """Tell whether the text can be one of our tokens, by prefix, length and checksum."""
    secret, checksum = token[len(PREFIX) : -CHECKSUM_DIGITS], token[-CHECKSUM_DIGITS:]
    return (
        token.startswith(PREFIX)
        and len(secret) == 2 * SECRET_BYTES
        and token.isascii()
        and _checksum(secret) == checksum
    )


@retry_on_conflict
def create(
    name: str,
    now: datetime.datetime,
    *,
    lifetime: datetime.timedelta = DEFAULT_LIFETIME,
    program: Program | None = None,
) -> tuple[str, Token]:
    """Issue a token and return its text, which is shown this once, with its row.

    Args:
        name: unique among all tokens, revoked ones included, since the history names them.
        now: the time of issue.
        lifetime: after it the token is no longer valid.
        program: the only program that the token is for.

    Raises:
        AlreadyExists: the name is taken.
    """
    secret = secrets.token_hex(SECRET_BYTES)
    text = f"{PREFIX}{secret}{_checksum(secret)}"
    try:
        with transaction():
            row = Token.create(
                name=name, digest=_digest(text), program=program, created_at=now, expires_at=now + lifetime
            )
    except peewee.IntegrityError:
        raise AlreadyExists("A token with this name exists; choose another name.") from None
    return text, row


def _valid() -> peewee.Select:
    return (
        Token.select(Token.digest, Token.name, Program.name.alias("program"), Token.last_used_at)
        .join(Program, peewee.JOIN.LEFT_OUTER)
        .where(
            any_of(Token.digest, "digests"),
            Token.revoked_at.is_null(),
            Token.expires_at > given("now", Token.expires_at),
        )
    )


_VALID = Statement(_valid)


@retry_on_conflict
def verify_all(texts: Sequence[str], now: datetime.datetime) -> dict[str, Identity]:
    """Return by token whom it stands for, without those that are malformed, unknown, expired or revoked."""
    digests = {_digest(text): text for text in texts if is_well_formed(text)}
    if not digests:
        return {}
    rows = _VALID.rows(digests=list(digests), now=now)
    return {digests[row.digest]: Identity(row.name, row.program, row.last_used_at) for row in rows}


def verify(text: str, now: datetime.datetime) -> Identity | None:
    """Return whom one token stands for, or None; see `verify_all`."""
    return verify_all([text], now).get(text)


def is_use_noted(identity: Identity, now: datetime.datetime) -> bool:
    """Tell whether the last noted use is so recent that this one need not be."""
    return identity.last_used_at is not None and identity.last_used_at > now - LAST_USE_RESOLUTION


def note_use(name: str, now: datetime.datetime) -> None:
    """Write the time of use, at most once a minute however many processes do."""
    unnoted = Token.last_used_at.is_null() | (Token.last_used_at <= now - LAST_USE_RESOLUTION)
    Token.update(last_used_at=now).where(Token.name == name, unnoted).execute()


def list_tokens() -> list[Token]:
    """Return all tokens with their programs, the oldest first; their texts are not kept."""
    return list(Token.select(Token, Program).join(Program, peewee.JOIN.LEFT_OUTER).order_by(Token.id))


@retry_on_conflict
def revoke(name: str, now: datetime.datetime) -> Token:
    """End a token at once; ending it again changes nothing.

    Raises:
        UnknownName: no token has this name.
    """
    with transaction():
        Token.update(revoked_at=now).where(Token.name == name, Token.revoked_at.is_null()).execute()
    row = Token.get_or_none(Token.name == name)
    if row is None:
        raise UnknownName("No token has this name; see `loyalty token list`.")
    return row
