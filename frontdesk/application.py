"""The front desk as a WSGI application."""

import contextlib
import datetime
import functools
import secrets
from collections.abc import Collection

import flask
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, NotFound

from frontdesk import forms, protection, reading, store, views
from frontdesk.flows import Desk

LARGEST_FORM_BYTES = 64 * 1024


def create_app(desk: Desk, *, hosts: Collection[str], port: int) -> flask.Flask:
    """Return the application; `store.use` must have been called.

    Args:
        desk: the hotel's, with the partner server to call.
        hosts: the names and addresses that browsers may call it by, without port.
        port: where it is served.
    """
    app = flask.Flask(__name__)
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_FORM_BYTES,
        SECRET_KEY=secrets.token_bytes(),
        SESSION_COOKIE_NAME=f"frontdesk_{port}",  # browsers share cookies between ports
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.extensions["frontdesk"] = desk
    protection.protect(app, hosts)
    app.before_request(_open_store)
    app.teardown_request(_close_store)
    app.register_blueprint(views.pages)
    app.register_error_handler(HTTPException, _show_error)
    app.register_error_handler(Exception, _show_failure)
    _teach_templates(app, desk)
    return app


def _teach_templates(app: flask.Flask, desk: Desk) -> None:
    known = forms.fields(desk.contract)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        combinations=functools.partial(forms.combinations, desk.contract),
        countries=forms.countries(),
        country_names=dict(forms.countries()),
        desk=desk,
        fields=known,
        reading=reading,
    )
    app.jinja_env.filters.update(local_time=_local_time, moment=_moment)


def _local_time(utc: datetime.datetime) -> str:
    """Return a moment of the store in this machine's time zone."""
    return utc.replace(tzinfo=datetime.UTC).astimezone().strftime("%d %b %Y, %H:%M:%S")


def _moment(text: str) -> str:
    """Return a date and time of the contract as people write it, with the offset that it has."""
    with contextlib.suppress(ValueError):
        return datetime.datetime.fromisoformat(text).strftime("%d %b %Y, %H:%M %Z")
    return text


def _open_store() -> None:
    store.database.connect(reuse_if_open=True)


def _close_store(_error: BaseException | None) -> None:
    if not store.database.is_closed():
        store.database.close()


def _show_error(error: HTTPException) -> tuple[str, int]:
    if isinstance(error, CSRFError):
        told = "This page is older than the front desk that runs now. Load it anew, and try again."
    elif error.description == NotFound.description:  # Werkzeug's own words are for who makes web pages
        told = "The front desk has no such page."
    else:
        told = error.description or ""
    return flask.render_template("error.html", title=error.name, told=told), error.code or 500


def _show_failure(error: Exception) -> tuple[str, int]:
    flask.current_app.logger.error("The front desk failed.", exc_info=error)
    told = "The front desk itself has a fault; the terminal where it runs says more."
    return flask.render_template("error.html", title="Something went wrong", told=told), 500
