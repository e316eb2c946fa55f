"""Every setting, once: its name, type, default and meaning. Read from `LOYALTY_*` variables, checked, then frozen."""

import dataclasses
import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Any

import limits
from marshmallow import ValidationError, fields, validate

PREFIX = "LOYALTY_"
# By this variable worker processes share their metrics. It counts when prometheus_client is first imported.
METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
# Client-side variables (tests, front desk, certification) that the server knows as such and does not read.
RESERVED = {"LOYALTY_TOKEN", "LOYALTY_SECOND_TOKEN"}
_CONVERTERS: dict[Any, type[fields.Field]] = {
    str: fields.String,
    int: fields.Integer,
    float: fields.Float,
    bool: fields.Boolean,
}
_BASE_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


class InvalidSetting(Exception):
    """A setting is missing, unknown or has a value that cannot be used; the text says which and what to do."""


def _setting(help_text: str, *, default: Any = dataclasses.MISSING, secret: bool = False, check: Any = None) -> Any:
    return dataclasses.field(default=default, metadata={"help": help_text, "secret": secret, "check": check})


def _base_path(value: str) -> str:
    path = value.rstrip("/")
    if not _BASE_PATH.fullmatch(path):
        raise ValidationError("It must be a plain path such as /loyalty, or empty.")
    return path


def parse_rates(value: str) -> list[limits.RateLimitItem]:
    """Return the limits that a text in the notation of `limits` holds: 100/second, or 100/second; 20000/hour.

    Raises:
        ValidationError: it holds none; of the empty text, there are none to hold.
    """
    try:
        items = limits.parse_many(value) if value else []
    except ValueError:
        items = [limits.RateLimitItemPerSecond(0)]
    if not all(item.amount for item in items):
        raise ValidationError("It must be a limit such as 100/second, several with ; between them, or empty.")
    return items


def _check_addresses(value: str) -> None:
    try:
        for address in filter(None, value.split(",")):
            ipaddress.ip_network(address.strip())
    except ValueError:
        raise ValidationError("It must be IP addresses or networks (10.0.0.0/8) with commas between them.") from None


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of one server."""

    database_url: str = _setting(
        "sqlite:///file.db, sqlite:////absolute/file.db or a libpq URI such as postgresql://user:password@host/name.",
        secret=True,
    )
    host: str = _setting("Address to listen at.", default="127.0.0.1")
    port: int = _setting("Port to listen at.", default=8080, check=validate.Range(1, 65535))
    base_path: str = _setting("Path below which the contract is served, such as /loyalty.", default="")
    workers: int = _setting("Worker processes.", default=len(os.sched_getaffinity(0)), check=validate.Range(1, 256))
    concurrency: int = _setting(
        "Requests that a worker process handles at once; one in four, or one at least, is a list of memberships.",
        default=8,
        check=validate.Range(1, 256),
    )
    queue_limit: int = _setting(
        "Requests that wait in a worker process for their turn, lists apart from all others; more get 429.",
        default=128,
        check=validate.Range(1, 100_000),
    )
    connection_limit: int = _setting(
        "Connections of a worker process; beyond, the one that has waited for its client the longest is closed.",
        default=1000,
        check=validate.Range(10, 1_000_000),
    )
    request_deadline: float = _setting(
        "Seconds after which a request is answered with 408.", default=4.0, check=validate.Range(0.5, 60)
    )
    body_limit: int = _setting(
        "Largest request body in bytes.", default=1_048_576, check=validate.Range(1024, 1_073_741_824)
    )
    head_limit: int = _setting(
        "Largest request line with header fields, in bytes.", default=32_768, check=validate.Range(1024, 1_048_576)
    )
    rate_limit: str = _setting(
        "Requests with one token in a time, such as 100/second or 100/second; 20000/hour; more are refused with 429. "
        "Empty for no limit.",
        default="",
        check=parse_rates,
    )
    failed_authentication_limit: str = _setting(
        "Requests with a wrong token from one address in a time, written as LOYALTY_RATE_LIMIT; more are answered with "
        "429 in place of 401. Requests with a valid token never are.",
        default="100/minute",
        check=parse_rates,
    )
    trusted_proxies: str = _setting(
        "IP addresses or networks of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, with commas "
        "between them.",
        default="127.0.0.1,::1",
        check=_check_addresses,
    )
    program_belief: float = _setting(
        "Seconds for which searches and lists believe a hotel's program and its policy as last read; 0 always reads.",
        default=0.5,
        check=validate.Range(0, 60),
    )
    email_subaddresses: str = _setting(
        "keep, or ignore what follows a plus in an e-mail address, and the dots of Gmail's, so that all are one "
        "person's; after a change run `loyalty db upgrade`.",
        default="keep",
        check=validate.OneOf(["keep", "ignore"]),
    )
    search_limit: int = _setting("Members in a search answer, at most.", default=20, check=validate.Range(1, 1000))
    backend: str = _setting(
        "package.module:factory of a loyalty system in place of the built-in one; see docs/integrate.md.",
        default="",
    )
    second_contract: str = _setting(
        "OpenAPI file of another version of the contract, served beside the vendored one by the same handlers.",
        default="",
    )
    second_base_path: str = _setting(
        "Path below which the second contract is served; it must differ from LOYALTY_BASE_PATH.", default=""
    )
    unknown_fields: str = _setting(
        "refuse, or ignore for the day when Mews sends a new field before this server knows it; ignored ones are "
        "counted in the metric loyalty_unknown_fields_total.",
        default="refuse",
        check=validate.OneOf(["refuse", "ignore"]),
    )
    validate_responses: bool = _setting(
        "Check every answer against the contract before it is sent; one that fails becomes a 500.", default=False
    )
    keep_alive: int = _setting(
        "Seconds that an idle connection is kept; above the proxy's.", default=75, check=validate.Range(1, 3600)
    )
    shutdown_timeout: int = _setting(
        "Seconds that running requests get when the server stops; above the deadline.",
        default=25,
        check=validate.Range(1, 600),
    )
    log_level: str = _setting(
        "debug, info, warning or error.",
        default="info",
        check=validate.OneOf(["debug", "info", "warning", "error"]),
    )


def variable(field: dataclasses.Field) -> str:
    """Return the environment variable of a settings field."""
    return PREFIX + field.name.upper()


def load(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Return the settings.

    Args:
        environment: where to read them instead of the process's environment.
        overrides: values that win over the environment, by field name; None is ignored.

    Raises:
        InvalidSetting: one is missing, unknown or unusable.
    """
    known = {variable(field): field for field in dataclasses.fields(Settings)}
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    given |= {PREFIX + name.upper(): str(value) for name, value in overrides.items() if value is not None}
    unknown = sorted(given.keys() - known.keys() - RESERVED)
    if unknown:
        raise InvalidSetting(f"{unknown[0]} is no setting; `loyalty settings` lists them all.")
    return Settings(**{field.name: _read(field, given) for field in known.values()})


def _read(field: dataclasses.Field, given: Mapping[str, str]) -> Any:
    name = variable(field)
    if name not in given and field.default is dataclasses.MISSING:
        raise InvalidSetting(f"{name} is not set; it takes {field.metadata['help']}")
    if name not in given:
        return field.default
    converter = _CONVERTERS[field.type](validate=field.metadata["check"])
    try:
        value = converter.deserialize(given[name])
        return _base_path(value) if field.name.endswith("base_path") else value
    except ValidationError as error:
        raise InvalidSetting(f"{name} cannot be used: {' '.join(map(str, error.messages))}") from None
