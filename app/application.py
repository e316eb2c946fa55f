"""The application: the contract's operations within the layers of the edge."""

import asyncio
import contextlib
import functools
import importlib
import inspect
import pathlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema_rs
import orjson
import structlog
import yaml
from starlette.datastructures import QueryParams

from app import context, contract, edge, problems
from app.lanes import Door, Lanes, Start
from app.openapi31 import ContractApp, HandlerResolver, middlewares, stray_handlers
from app.probes import Probes
from app.rates import Rates
from app.security import BearerSecurity, TokenStore
from app.settings import InvalidSetting, Settings
from models import database, folding, greenlets, health
from models.backend import Backend, PeeweeBackend
from models.clock import Clock, system_clock

# Beside one for each place of the lanes: two for token look-ups, two for what is written later, one for the probe,
# which has a pool of its own, with time limits of its own.
SPARE_CONNECTIONS, PROBE_CONNECTIONS = 5, 1
PROBE_DEADLINE_SECONDS = 1.6
log = structlog.get_logger("loyalty")


class InvalidAnswer(Exception):
    """A handler returned something that the contract does not allow; the text names places, never values."""


def create_app(settings: Settings, clock: Clock = system_clock) -> Callable:
    """Return the ASGI application.

    Args:
        settings: all of them.
        clock: the time, for tests that move it.

    Raises:
        MissingHandlers: the contract has operations without a handler.
        InvalidSetting: the backend or the second contract cannot be loaded.
        InvalidDatabaseUrl: the database URL cannot be used.
    """
    contracts = load_contracts(settings)
    lanes = _lanes(contracts, settings)
    folding.ignore_subaddresses(settings.email_subaddresses == "ignore")
    opened = database.connect(
        settings.database_url,
        connections=lanes.places + SPARE_CONNECTIONS - PROBE_CONNECTIONS,
        deadline=settings.request_deadline,
        bounded=True,
    )
    probe = database.open_pool(
        settings.database_url, connections=PROBE_CONNECTIONS, deadline=PROBE_DEADLINE_SECONDS, bounded=True
    )
    backend = load_backend(settings, clock)
    tokens = TokenStore(clock)
    app: ContractApp = ContractApp(
        __name__,
        middlewares=middlewares(),
        security_map={"bearer": functools.partial(BearerSecurity, tokens, **_rates(settings))},
        lifespan=lambda _: _lifespan([opened, probe], lanes, tokens, backend),
    )
    app.app.extensions["loyalty_backend"] = backend
    for base_path, api in contracts.items():
        adapt = functools.partial(_adapt, version=api.version, validate=settings.validate_responses)
        options = {"resolver": HandlerResolver(api, adapt), "ignore_unknown": settings.unknown_fields == "ignore"}
        app.add_contract(api, base_path=base_path, lanes=lanes, flask_app=app.app, **options)
    for name in stray_handlers(contracts.values()):
        log.warning("stray handler", function=name)
    return _with_edge(Door(app, lanes), contracts, functools.partial(check_health, probe, backend), settings)


def _lanes(contracts: dict[str, contract.Contract], settings: Settings) -> Lanes:
    return Lanes(
        contracts.values(),
        _in_threads(settings.concurrency) if settings.backend else greenlets.start,
        places=settings.concurrency,
        queue_limit=settings.queue_limit,
        deadline=settings.request_deadline,
    )


def _in_threads(threads: int) -> Start:
    """Return what begins a job in a thread: a loyalty system that is not ours may wait for whatever it likes."""
    executor = ThreadPoolExecutor(threads + 1, thread_name_prefix="handler")
    return lambda job: asyncio.get_running_loop().run_in_executor(executor, job)


def _rates(settings: Settings) -> dict[str, Rates]:
    return {
        "requests": Rates("requests", settings.rate_limit),
        "failures": Rates("failures", settings.failed_authentication_limit),
    }


def load_contracts(settings: Settings) -> dict[str, contract.Contract]:
    """Return the versions of the contract to serve, by base path: the vendored one, and a second if one is set.

    Raises:
        InvalidSetting: the second cannot be read or served, or has no base path of its own.
    """
    vendored = contract.load()
    if not settings.second_contract:
        return {settings.base_path: vendored}
    if settings.second_base_path == settings.base_path:
        raise InvalidSetting("LOYALTY_SECOND_BASE_PATH must differ from LOYALTY_BASE_PATH.")
    try:
        second = contract.load(pathlib.Path(settings.second_contract), beside=vendored)
    except contract.NameClash as error:
        raise InvalidSetting(f"LOYALTY_SECOND_CONTRACT cannot be served: {error}") from None
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError, jsonschema_rs.ValidationError) as error:
        raise InvalidSetting(
            f"LOYALTY_SECOND_CONTRACT names no OpenAPI 3.1 document that can be read ({type(error).__name__})."
        ) from None
    return {settings.base_path: vendored, settings.second_base_path: second}


def _with_edge(
    app: Callable, contracts: dict[str, contract.Contract], check_health: Callable[[], None], settings: Settings
) -> Callable:
    app = edge.Deadline(app, settings.request_deadline)
    app = edge.ExactPaths(app, contracts)
    app = Probes(app, check_health)
    app = edge.Limits(app, head_limit=settings.head_limit, body_limit=settings.body_limit)
    app = edge.ProblemDocuments(app)
    return edge.Observed(app)


@contextlib.asynccontextmanager
async def _lifespan(
    pools: list[database.Pool], lanes: Lanes, tokens: TokenStore, backend: Backend
) -> AsyncIterator[None]:
    yield
    await lanes.shutdown()
    getattr(backend, "shutdown", lambda: None)()
    tokens.shutdown()
    for pool in pools:
        pool.close_all()


def check_health(probe: database.Pool, backend: Backend) -> None:
    """Return if requests can be served: the database of the tokens is well, and so is the loyalty system.

    Args:
        probe: a pool of its own, whose deadline is shorter than that of requests.
        backend: the loyalty system.

    Raises:
        DatabaseUnavailable: they cannot.
    """
    health.check(probe)
    backend.health()


def check(settings: Settings) -> None:
    """Do nothing if `create_app` will find all that it needs; told once, before worker processes are started.

    Raises:
        MissingHandlers: the contract has operations without a handler.
        InvalidSetting: `LOYALTY_BACKEND` names nothing that can be imported; the second contract cannot be read.
    """
    for api in load_contracts(settings).values():
        HandlerResolver(api, lambda function, _: function)
    if settings.backend:
        _backend_factory(settings.backend)


def load_backend(settings: Settings, clock: Clock) -> Backend:
    """Return the loyalty system to serve: the built-in one, or what `LOYALTY_BACKEND` names.

    Raises:
        InvalidSetting: it cannot be imported.
    """
    if settings.backend:
        return _backend_factory(settings.backend)()
    return PeeweeBackend(search_limit=settings.search_limit, belief=settings.program_belief, clock=clock)


def _backend_factory(name: str) -> Callable[[], Backend]:
    module, _, factory = name.partition(":")
    try:
        return getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSetting(
            f"LOYALTY_BACKEND names no package.module:factory that can be imported ({type(error).__name__})."
        ) from error


def _adapt(function: Callable, operation: contract.Operation, *, version: str, validate: bool) -> Callable:
    """Make of a handler what gets the scope of a request and its `flask.g`, and returns the answer as JSON.

    A handler gets only the parameters that it takes: another version of the contract may have more.
    """
    taken = inspect.signature(function).parameters.values()
    names = {parameter.name for parameter in taken}
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken)
    passed = [parameter for parameter in operation.parameters if takes_all or parameter.argument in names]

    def call(scope: dict, told: Any) -> bytes:
        state = context.of(scope)
        told.token_name, told.program, told.request_id = state.token_name, state.program, state.request_id
        told.contract_version = version
        arguments = {parameter.argument: _sent(parameter, scope) for parameter in passed}
        answer = function(**arguments, body=state.payload) if operation.body else function(**arguments)
        if validate:
            _check_answer(operation, answer)
        return orjson.dumps(answer)

    return call


def _sent(parameter: contract.Parameter, scope: dict) -> str | None:
    """What this request has for a parameter; None if it was not sent."""
    if parameter.place == "query":
        return QueryParams(scope["query_string"]).get(parameter.name)
    return scope["path_params"][parameter.name.replace("-", "_")]  # as connexion names it in a route


def _check_answer(operation: contract.Operation, answer: Any) -> None:
    if operation.answer is not None and not operation.answer.is_valid(answer):
        places = sorted({problems.pointer(error.instance_path) for error in operation.answer.iter_errors(answer)})
        log.error("invalid answer", operation=operation.operation_id, pointers=places)
        raise InvalidAnswer("the answer breaks the contract")
