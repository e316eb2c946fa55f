"""One function per operation of the contract, a module per tag. They convert and delegate; nothing else."""

import flask

from models.backend import Backend
from models.caller import Caller


def backend() -> Backend:
    """Return the loyalty system behind the running application."""
    return flask.current_app.extensions["loyalty_backend"]


def contract_version() -> str:
    """Return the version of the contract (`info.version`) that was addressed, where two are served at once."""
    return flask.g.contract_version


def caller(request: dict) -> Caller:
    """Return who asks and for which hotel, from a converted request and the token that came with it."""
    return Caller(
        mews_enterprise_id=request["mews_enterprise_id"],
        provider_enterprise_id=request.get("provider_enterprise_id"),
        token_name=flask.g.token_name,
        program=flask.g.program,
        request_id=flask.g.request_id,
    )
