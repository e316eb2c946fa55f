"""Connexion, taught to serve an OpenAPI 3.1 document. Everything that touches connexion's insides is here."""

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any

with warnings.catch_warnings():
    # Importing connexion imports starlette's test client, which warns of the httpx that connexion needs.
    warnings.simplefilter("ignore")
    import connexion
import flask
from connexion.exceptions import InvalidSpecification
from connexion.middleware.abstract import ROUTING_CONTEXT, RoutedAPI, RoutedMiddleware
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.middleware.main import API
from connexion.middleware.routing import RoutingMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.operations import OpenAPIOperation
from connexion.resolver import Resolver
from connexion.spec import OpenAPISpecification
from connexion.uri_parsing import OpenAPIURIParser

from app import context
from app.body import BodyOperation
from app.contract import Contract
from app.handling import HandlerOperation
from app.lanes import Lanes


class MissingHandlers(Exception):
    """Operations of the contract for which there is no function; the text lists them all."""


class _BodyAPI(RoutedAPI[BodyOperation]):
    def __init__(self, *args: Any, contract: Contract, ignore_unknown: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self._contract, self._ignore_unknown = contract, ignore_unknown
        self.add_paths()

    def make_operation(self, operation: Any) -> BodyOperation:
        found = self._contract.operations[operation.operation_id]
        return BodyOperation(self.next_app, self._contract, found, ignore_unknown=self._ignore_unknown)


class _HandlerAPI(RoutedAPI[HandlerOperation]):
    def __init__(self, *args: Any, contract: Contract, lanes: Lanes, flask_app: flask.Flask, **options: Any) -> None:
        super().__init__(*args, **options)
        self._contract, self._lanes, self._flask_app = contract, lanes, flask_app
        self.add_paths()

    def make_operation(self, operation: Any) -> HandlerOperation:
        found = self._contract.operations[operation.operation_id]
        return HandlerOperation(operation.function, self._lanes.of(found), self._flask_app)


class HandlerMiddleware(RoutedMiddleware[_HandlerAPI]):
    """The last: what comes after it, connexion's bridge to Flask by WSGI, is never reached."""

    api_cls = _HandlerAPI


class BodyMiddleware(RoutedMiddleware[_BodyAPI]):
    """Stands where connexion's own request validation stood, which knows draft 4 and tells one error."""

    api_cls = _BodyAPI


class _RoutingMiddleware(RoutingMiddleware):
    """Does not look again for an operation that `app.edge.ExactPaths` has found, unless its path has parameters."""

    def __init__(self, app: Callable) -> None:
        super().__init__(app)
        self._base_paths: dict[Contract, str] = {}

    def add_api(self, specification: Any, *arguments: Any, contract: Contract, **options: Any) -> None:
        super().add_api(specification, *arguments, contract=contract, **options)
        self._base_paths[contract] = specification.base_path

    async def __call__(self, scope: Any, receive: Callable, send: Callable) -> None:
        found = context.of(scope) if scope["type"] == "http" else None
        if found is None or found.contract is None or found.operation is None or "{" in found.operation.path:
            await super().__call__(scope, receive, send)
            return
        routed = {"api_base_path": self._base_paths[found.contract], "operation_id": found.operation.handler}
        scope["extensions"][ROUTING_CONTEXT] = routed
        await self.app(scope, receive, send)


def middlewares() -> list[Any]:
    """Return connexion's stack, outermost first: what it does as we need it, and our validation in place of its own.

    Errors are told, answers checked and paths judged in `app.edge` and `app.application`, for the probes as well.
    """
    return [_RoutingMiddleware, SecurityMiddleware, BodyMiddleware, LifespanMiddleware, HandlerMiddleware]


class _NoParameters(OpenAPIURIParser):
    """Connexion hands over no parameters, since it fails at types of 3.1 and at values of another type."""

    def resolve_path(self, *_: Any) -> dict:
        return {}

    def resolve_query(self, *_: Any) -> dict:
        return {}


class _Operation(OpenAPIOperation):
    def get_path_parameter_types(self) -> dict:
        """By no type, so that each text within a path reaches the handler."""
        return {}


class OpenAPI31Specification(OpenAPISpecification):
    """Connexion knows 3.0 only; it gets the document unchecked, since `openapi-spec-validator` checks it in tests."""

    operation_cls = _Operation
    yaml_name = "openapi.yaml"
    mount = ""

    @classmethod
    def _validate_spec(cls, spec: dict) -> None:
        if not str(spec.get("openapi", "")).startswith("3.1."):
            raise InvalidSpecification("The document is no OpenAPI 3.1.")

    @property
    def base_path(self) -> str:
        """Where the contract is mounted; the document's `servers` hold a placeholder."""
        return self.mount

    @base_path.setter
    def base_path(self, value: str) -> None:
        self.mount = value


class ContractApp(connexion.FlaskApp):
    """A FlaskApp whose API is an OpenAPI 3.1 document."""

    def add_contract(self, contract: Contract, *, base_path: str, **options: Any) -> None:
        """Serve the contract below `base_path`; it and the options reach the `add_api` of every middleware."""
        specification = OpenAPI31Specification({**contract.document, "paths": contract.paths})
        defaults = self.middleware.options.__dict__ | {"uri_parser_class": _NoParameters}
        self.middleware.apis.append(
            API(specification, base_path=base_path, **{**defaults, "contract": contract, **options})
        )


class HandlerResolver(Resolver):
    """Finds `handlers.<tag>.<operation_id>` for every operation before the first request.

    Raises:
        MissingHandlers: at construction.
    """

    def __init__(self, contract: Contract, adapt: Callable[[Callable, Any], Callable]) -> None:
        super().__init__()
        functions = {name: _import(name) for name in contract.operations}
        missing = [
            f"{operation.method} {operation.path}: {name}"
            for name, operation in contract.operations.items()
            if functions[name] is None
        ]
        if missing:
            raise MissingHandlers(
                "The contract has operations without a handler (`make generate` adds stubs): " + "; ".join(missing)
            )
        self._names = {operation.operation_id: name for name, operation in contract.operations.items()}
        self._functions = {
            name: adapt(function, contract.operations[name]) for name, function in functions.items() if function
        }

    def resolve_operation_id(self, operation: Any) -> str:
        """Return the handler's dotted name."""
        return self._names[operation.operation_id]

    def resolve_function_from_operation_id(self, operation_id: str) -> Callable:
        """Return the function to call for a handler's dotted name."""
        return self._functions[operation_id]


def _import(name: str) -> Callable | None:
    module, _, function = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None


def stray_handlers(contracts: Iterable[Contract]) -> list[str]:
    """Return the public functions of the handler modules that no operation of any version reaches."""
    reached = {name for contract in contracts for name in contract.operations}
    modules = {name.rpartition(".")[0] for name in reached}
    found = []
    for module in sorted(modules):
        members = inspect.getmembers(importlib.import_module(module), inspect.isfunction)
        found += [
            f"{module}.{name}"
            for name, function in members
            if function.__module__ == module and not name.startswith("_")
        ]
    return [name for name in found if name not in reached]
