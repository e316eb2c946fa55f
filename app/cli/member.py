"""`loyalty member`: members and their memberships, for the operator."""

import datetime
import uuid
from collections.abc import Callable
from typing import Any

import click

from app import contract, problems, validation
from app.cli import member_export, member_import, member_search
from app.cli.common import examples, json_option, opened, option_of, program_option, show_json, show_one
from app.cli.member_record import LARGEST_POINTS, is_told
from app.languages import DEFAULT, translate
from handlers import schemas
from models import enrollment, history, memberships, programs, search
from models.clock import system_clock
from models.errors import UnknownMembership

_ID = "PROVIDER_MEMBERSHIP_ID"


@click.group("member")
def command() -> None:
    """Add, show and change members."""


command.add_command(member_import.command)
command.add_command(member_export.command)
command.add_command(member_search.command)


def _person_options(function: Callable) -> Callable:
    for name in reversed((*enrollment.PERSON_FIELDS, *enrollment.ADDRESS_FIELDS)):
        kind = click.DateTime(["%Y-%m-%d"]) if name == "birthday" else click.STRING
        function = click.option(option_of(name), name, type=kind)(function)
    return function


class _Moment(click.ParamType):
    name = "date-time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime.datetime:
        try:
            moment = datetime.datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
            moment.astimezone(datetime.UTC)
        except (ValueError, OverflowError):
            self.fail("give it as 2027-12-31T23:59:59+01:00.", param, ctx)
        return moment


@command.command(
    epilog=examples(
        "loyalty member add --first-name Ada --last-name Lovelace --email ada@example.com",
        "loyalty member add --last-name Hopper --membership-number OLD-17 --tier Gold --points 5000",
    )
)
@_person_options
@click.option("--membership-number", help="A number from elsewhere; without, one is made after the pattern.")
@click.option("--tier")
@click.option("--points", type=click.IntRange(0, LARGEST_POINTS), default=0, show_default=True)
@click.option("--expires-at", type=_Moment(), help="Such as 2027-12-31T23:59:59+01:00; never, if not given.")
@click.option("--deeplink-url", help="Where staff can see the membership in your own system.")
@click.option(
    "--status",
    type=click.Choice([programs.Status.PENDING.value, programs.Status.ENROLLED.value]),
    default=programs.Status.ENROLLED.value,
    show_default=True,
)
@click.option("--shares-email", is_flag=True, help="Allow that another member has this e-mail, as families do.")
@program_option
@json_option
def add(*, program: str | None, as_json: bool, status: str, shares_email: bool, **given: Any) -> None:
    """Add a member with a membership."""
    customer = _customer(given)
    _check(customer, given)
    expiry = given["expires_at"]
    with opened():
        membership = enrollment.add_member(
            programs.find_program(program),
            customer,
            system_clock(),
            status=programs.Status(status),
            shares_identity=shares_email,
            membership_number=given["membership_number"],
            tier=given["tier"],
            points=given["points"],
            expires_at=expiry,
            expires_at_offset=int(expiry.utcoffset().total_seconds() // 60) if expiry else None,
            deeplink_url=given["deeplink_url"],
        )
    show_one(_without_none(membership), as_json=as_json)


def _check(customer: dict, given: dict) -> None:
    """Do nothing if the server could show this member as the contract wants it.

    Raises:
        click.UsageError: it could not.
    """
    if given["membership_number"] is not None and not is_told(given["membership_number"]):
        raise click.UsageError("--membership-number: A number cannot be blank; leave it out to have one made.")
    operation = (api := contract.load()).operation_with("customer")
    request = {"mews_enterprise_id": uuid.UUID(int=0), "customer": customer}
    try:
        validation.check(api, operation, schemas.enroll_customer_request.dump(request))
    except problems.Problem as problem:
        first = problem.fields[0]
        raise click.UsageError(f"{option_of(str(first.path[-1]))}: {translate(first.detail, DEFAULT)}") from None
    shown = {"provider_membership_id": "", "membership_number": "", "status": programs.Status.ENROLLED.value}
    membership = schemas.membership.dump(shown | {"deeplink_url": given["deeplink_url"]})
    if operation.answer is not None and not operation.answer.is_valid({"membership": membership}):
        raise click.UsageError("--deeplink-url: This is no URL.")


def _customer(given: dict) -> dict:
    person = {name: given[name] for name in enrollment.PERSON_FIELDS if is_told(given[name])}
    if "birthday" in person:
        person["birthday"] = person["birthday"].date()
    address = {name: given[name] for name in enrollment.ADDRESS_FIELDS if is_told(given[name])}
    return person | ({"address": address} if address else {})


def _without_none(values: dict) -> dict:
    return {name: value for name, value in values.items() if value is not None}


@command.command(
    epilog=examples("loyalty member show 1978709572", "loyalty member show ada@example.com --json"),
)
@click.argument("identifier")
@program_option
@json_option
def show(*, identifier: str, program: str | None, as_json: bool) -> None:
    """Show the members whose provider membership id, membership number or e-mail is IDENTIFIER, with their history."""
    with opened():
        found = search.look_up(programs.find_program(program), identifier, system_clock())
        members = [_with_history(member) for member in found]
    if not members:
        raise UnknownMembership("No member has this provider membership id, membership number or e-mail.")
    if as_json:
        show_json({"members": members})
        return
    for member in members:
        show_one(member, as_json=False)


def _with_history(member: dict) -> dict:
    events = [
        {"kind": event.kind, "happened_at": event.happened_at, "actor": event.actor}
        for event in history.list_events(member["row"])
    ]
    shown = {name: value for name, value in member.items() if name != "row"}
    shown["membership"] = _without_none(shown["membership"])
    return _without_none(shown) | {"history": events}


def _status_command(name: str, status: programs.Status, text: str) -> None:
    @command.command(name, help=text, epilog=examples(f"loyalty member {name} 01a20885-40ca-776f-a849-a92e5a8413df"))
    @click.argument("provider_membership_id", metavar=_ID)
    @program_option
    @json_option
    def change(*, provider_membership_id: str, program: str | None, as_json: bool) -> None:
        with opened():
            membership = memberships.change_status(
                programs.find_program(program), provider_membership_id, status, system_clock()
            )
        show_one(_without_none(membership), as_json=as_json)


_status_command(
    "confirm", programs.Status.ENROLLED, "Make a pending membership enrolled, or bring a canceled one back."
)
_status_command("decline", programs.Status.DECLINED, "Decline a pending membership.")
_status_command("cancel", programs.Status.CANCELED, "Cancel an enrolled membership; it keeps number, tier and points.")


@command.command(epilog=examples("loyalty member delete 01a20885-40ca-776f-a849-a92e5a8413df --yes"))
@click.argument("provider_membership_id", metavar=_ID)
@click.option("--yes", is_flag=True, help="Do not ask.")
@program_option
@json_option
def delete(*, provider_membership_id: str, yes: bool, program: str | None, as_json: bool) -> None:
    """Erase a member's personal data for good; the identifier and number stay used."""
    if not yes:
        click.confirm("Erase this member for good?", abort=True, err=True)
    with opened():
        memberships.delete(programs.find_program(program), provider_membership_id, system_clock())
    show_one({"provider_membership_id": provider_membership_id, "deleted": True}, as_json=as_json)
