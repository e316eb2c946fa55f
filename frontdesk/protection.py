"""What keeps other web sites from acting here: host, origin and CSRF checks, and a strict policy for our own pages."""

import urllib.parse
from collections.abc import Collection

import flask
import flask_wtf.csrf
from werkzeug.exceptions import Forbidden, MisdirectedRequest

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Of referrers `same-origin`: with `no-referrer` browsers send "Origin: null" with our own forms (Fetch, section 3.2).
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def protect(app: flask.Flask, hosts: Collection[str]) -> None:
    """Let an application answer its own pages in a browser alone.

    Args:
        app: the application.
        hosts: the names and addresses that it may be called by, without port. Another site's name that was made to
            lead here (DNS rebinding) is refused. Flask's TRUSTED_HOSTS would do, but for addresses of IPv6.
    """
    known = {host.strip("[]").lower() for host in hosts}

    @app.before_request
    def refuse_strangers() -> None:
        if _hostname(flask.request.host) not in known:
            raise MisdirectedRequest("This front desk is not known by that name.")
        if flask.request.method not in SAFE_METHODS and _is_foreign(flask.request):
            raise Forbidden("Another web site tried to act here.")

    @app.after_request
    def set_headers(answer: flask.Response) -> flask.Response:
        answer.headers.extend(HEADERS)
        answer.headers.setdefault("Cache-Control", "no-store")  # pages hold guests' data
        return answer

    flask_wtf.csrf.CSRFProtect(app)


def _hostname(host: str) -> str | None:
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_foreign(request: flask.Request) -> bool:
    """Tell whether the browser says that a request comes from elsewhere; if it says nothing, the CSRF check is left."""
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin != request.host_url.rstrip("/")
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
