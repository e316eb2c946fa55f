"""From the bytes of a request's body to the checked value that its handler gets."""

from collections.abc import Callable
from typing import Any

from app import context, telemetry, wire
from app.contract import Contract, Operation
from app.validation import check


class BodyOperation:
    """Reads, parses and checks the body of one operation, and hands the value on to its handler."""

    def __init__(self, next_app: Callable, contract: Contract, operation: Operation, *, ignore_unknown: bool) -> None:
        self._next_app = next_app
        self._contract = contract
        self._operation = operation
        self._ignore_unknown = ignore_unknown

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Serve one request, whose body the handler finds parsed in the request's context."""
        body = await wire.read_body(receive)
        if body is None:
            return
        context.of(scope).payload = self._payload(scope, body)
        await self._next_app(scope, receive, send)

    def _payload(self, scope: dict, body: bytes) -> Any:
        if self._operation.body is None:
            return None
        wire.check_media_type(scope["headers"])
        if not body.strip():
            if self._operation.body_required:
                raise wire.missing_body()
            return None
        try:
            payload = wire.parse(body)
            ignored = check(self._contract, self._operation, payload, ignore_unknown=self._ignore_unknown)
        except RecursionError:
            raise wire.nested_too_deeply() from None
        for name in ignored:
            telemetry.record_unknown_field(self._operation.operation_id, name)
        return payload
