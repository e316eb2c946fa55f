"""`loyalty member search`: who a search finds, and why, for the operator."""

import uuid
from collections.abc import Callable

import click

from app import contract, problems, settings, validation
from app.cli.common import examples, json_option, opened, option_of, program_option, show, show_json
from app.languages import DEFAULT, translate
from handlers import schemas
from models import matching, programs, search
from models.candidates import Candidate
from models.clock import system_clock

_FIELDS = {name: field.data_key or name for name, field in schemas.member_filter.fields.items()}
# What a table tells of each candidate, asked for or not.
_ALWAYS = ("membership_number", "first_name", "last_name")


def _filter_options(function: Callable) -> Callable:
    for name in reversed(_FIELDS):
        function = click.option(option_of(name), name)(function)
    return function


@click.command(
    "search",
    epilog=examples(
        "loyalty member search --first-name Jon --last-name Smith --city London",
        "loyalty member search --email ada@example.com --last-name Lovelace --json",
    ),
)
@_filter_options
@click.option("--limit", type=click.IntRange(min=1), help="Shown at most; as LOYALTY_SEARCH_LIMIT, if not given.")
@program_option
@json_option
def command(*, limit: int | None, program: str | None, as_json: bool, **given: str | None) -> None:
    """Search as Mews does, and explain the answer.

    Prints all members that were compared with what is given: first those that the server's answer would show, in its
    order, then the others, the best first. Each field that both have adds its weight to the score, in bits: the more,
    the likelier this is the person. `=` stands for an identifier that is equal, which outdoes all weights.

    Needs the same fields as the server: one of the contract's combinations.
    """
    member_filter = {name: value for name, value in given.items() if value is not None}
    _check(member_filter)
    with opened():
        most = limit or settings.load().search_limit
        shown, others = search.judge(programs.find_program(program), member_filter, system_clock(), limit=most)
    if as_json:
        explained = [_explained(entry, is_shown=True) for entry in shown]
        show_json({"candidates": explained + [_explained(entry, is_shown=False) for entry in others]})
        return
    columns = [name for name in _FIELDS if name in (*member_filter, *_ALWAYS)]
    rows = [_row(entry, columns, is_shown=True) for entry in shown]
    rows += [_row(entry, columns, is_shown=False) for entry in others]
    show(rows, as_json=False, title="Candidates", key="candidates")


def _check(member_filter: dict) -> None:
    """Do nothing if the server would take this filter.

    Raises:
        click.UsageError: it would not.
    """
    operation = (api := contract.load()).operation_with("memberFilter")
    request = {"mews_enterprise_id": uuid.UUID(int=0), "member_filter": member_filter}
    try:
        validation.check(api, operation, schemas.search_members_request.dump(request))
    except problems.Problem as problem:
        if problem.type is problems.INVALID_CRITERIA:
            missing = ", ".join(option_of(str(field.path[-1])) for field in problem.fields)
            raise click.UsageError(f"The contract accepts no such combination of fields; add {missing}.") from None
        raise click.UsageError(" ".join(map(_sentence, problem.fields))) from None


def _sentence(field: problems.FieldProblem) -> str:
    return f"{option_of(str(field.path[-1]))}: {translate(field.detail, DEFAULT)}"


def _explained(entry: Candidate, *, is_shown: bool) -> dict:
    comparison = entry.comparison
    evidence = {
        name: {"similarity": round(similarity, 3), "weight": weight}
        for name, (similarity, weight) in comparison.evidence.items()
    }
    return {
        "shown": is_shown,
        "standing": comparison.standing.value,
        "score": round(comparison.score, 1),
        "swapped_names": matching.SWAPPED_NAMES if comparison.swapped else None,
        "identifiers": [_FIELDS[name] for name in comparison.identifiers],
        "evidence": evidence,
        "member": {name: entry.row[name] for name in _FIELDS if entry.row[name] is not None},
    }


def _row(entry: Candidate, columns: list[str], *, is_shown: bool) -> dict:
    comparison = entry.comparison
    return {
        "shown": is_shown,
        "standing": comparison.standing.value,
        "score": f"{comparison.score:.1f}",
        "swapped_names": f"{matching.SWAPPED_NAMES:+.1f}" if comparison.swapped else None,
    } | {name: _cell(entry, name) for name in columns}


def _cell(entry: Candidate, name: str) -> str:
    """Return the candidate's value, and what it is worth below it."""
    value = entry.row[name] or ""
    if name in entry.comparison.identifiers:
        return f"{value}\n="
    if name not in entry.comparison.evidence:
        return value
    similarity, weight = entry.comparison.evidence[name]
    return f"{value}\n{similarity:.2f} {weight:+.1f}"
