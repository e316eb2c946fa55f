"""The pages of the front desk. Whatever acts is a POST that leads to a page, so that a reload never acts again."""

import uuid
from typing import Any

import flask
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from frontdesk import forms, reading, store
from frontdesk.flows import Desk
from frontdesk.store import Customer, Exchange

EXCHANGES_SHOWN = 8
pages = flask.Blueprint("pages", __name__)


def desk() -> Desk:
    """Return the front desk that is being served."""
    return flask.current_app.extensions["frontdesk"]


def language() -> str:
    """Return what the browser says of languages, which Mews passes on too."""
    return flask.request.accept_languages.to_header().encode("ascii", "ignore").decode()


@pages.get("/")
def customers() -> str:
    """List the customers."""
    return render("customers.html", store.latest(EXCHANGES_SHOWN), customers=store.customers())


@pages.post("/refresh")
def refresh_all() -> Response:
    """Refresh all memberships, as the nightly job does."""
    exchanges = desk().refresh_all(language())
    last = exchanges[-1].id if exchanges else None
    return flask.redirect(flask.url_for(".customers", exchange=last), 303)


@pages.get("/customers/new")
def new() -> str:
    """Show the first step of a new customer."""
    return render("details.html", [], customer=None, entered={})


@pages.post("/customers")
def create() -> Response:
    """Take the first step of a new customer, and search members for the second."""
    customer = Customer(details=forms.read(forms.fields(desk().contract), flask.request.form))
    customer.save(force_insert=True)
    return search(customer.id)


@pages.get("/customers/<uuid:customer_id>/details")
def details(customer_id: uuid.UUID) -> str:
    """Show what is known of a customer, to change it."""
    customer = find(customer_id)
    return render("details.html", about(customer), customer=customer, entered=customer.details)


@pages.post("/customers/<uuid:customer_id>/details")
def save(customer_id: uuid.UUID) -> Response:
    """Change what is known of a customer; in the first step of a new one, go on to the second."""
    customer = find(customer_id)
    customer.details = forms.read(forms.fields(desk().contract), flask.request.form)
    customer.save()
    return search(customer_id) if customer.is_draft else to(".profile", customer)


@pages.post("/customers/<uuid:customer_id>/search")
def search(customer_id: uuid.UUID) -> Response:
    """Look for members that may be the customer."""
    customer = find(customer_id)
    exchange = desk().search(customer, language())
    told = exchange and reading.problem(exchange)
    page = ".details" if told and reading.errors(told) else ".matches"
    return to(page, customer, exchange)


@pages.get("/customers/<uuid:customer_id>/matches")
def matches(customer_id: uuid.UUID) -> str:
    """Show the members that the last search found, to choose from."""
    customer = find(customer_id)
    found = desk().matches(customer)
    searched_by = forms.member_filter(desk().contract, customer.details)
    return render("matches.html", about(customer), customer=customer, members=found, searched_by=searched_by)


@pages.post("/customers/<uuid:customer_id>/link")
def link(customer_id: uuid.UUID) -> Response:
    """Link the chosen membership, or create the customer without one."""
    customer = find(customer_id)
    chosen = flask.request.form.get("choice", "")
    if chosen:
        exchange = desk().link(customer, chosen, language())
        return to(".profile" if exchange.is_good else ".matches", customer, exchange)
    customer.is_draft = False
    customer.save()
    return to(".profile", customer)


@pages.get("/customers/<uuid:customer_id>")
def profile(customer_id: uuid.UUID) -> str | Response:
    """Show a customer with the loyalty panel."""
    customer = find(customer_id)
    return to(".matches", customer) if customer.is_draft else render("profile.html", about(customer), customer=customer)


@pages.post("/customers/<uuid:customer_id>/enroll")
def enroll(customer_id: uuid.UUID) -> Response:
    """Make the customer a member."""
    customer = find(customer_id)
    return to(".profile", customer, desk().enroll(customer, language()))


@pages.post("/customers/<uuid:customer_id>/refresh")
def refresh(customer_id: uuid.UUID) -> Response:
    """Ask how the customer's membership stands."""
    customer = member(customer_id)
    return to(".profile", customer, desk().refresh(customer, language()))


@pages.post("/customers/<uuid:customer_id>/unlink")
def unlink(customer_id: uuid.UUID) -> Response:
    """End the link to the customer's membership."""
    customer = member(customer_id)
    return to(".profile", customer, desk().unlink(customer, language()))


def find(customer_id: uuid.UUID) -> Customer:
    """Return a customer.

    Raises:
        NotFound: there is none.
    """
    customer = Customer.get_or_none(Customer.id == customer_id)
    if customer is None:
        raise NotFound("The front desk has no such customer.")
    return customer


def member(customer_id: uuid.UUID) -> Customer:
    """Return a customer with a membership.

    Raises:
        NotFound: there is no such customer, or no membership, as after it was unlinked in another window.
    """
    customer = find(customer_id)
    if customer.membership is None:
        raise NotFound("This customer has no membership any more.")
    return customer


def to(page: str, customer: Customer, exchange: Exchange | None = None) -> Response:
    """Lead to a page of a customer, which tells how an exchange ended."""
    return flask.redirect(flask.url_for(page, customer_id=customer.id, exchange=exchange and exchange.id), 303)


def about(customer: Customer) -> list[Exchange]:
    """Return the exchanges to show beside a customer."""
    return store.latest(EXCHANGES_SHOWN, customer)


def render(template: str, exchanges: list[Exchange], **values: Any) -> str:
    """Return a page with exchanges beside it, and what to say of the one that led here."""
    wanted = flask.request.args.get("exchange", type=int)
    told = next((exchange for exchange in exchanges if exchange.id == wanted), None)
    alert = reading.alert(told) if told else None
    errors = {error.name: error.detail for error in alert.errors} if alert else {}
    return flask.render_template(template, exchanges=exchanges, told=told, alert=alert, errors=errors, **values)
