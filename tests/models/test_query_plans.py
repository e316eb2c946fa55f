"""Every query that a request makes about members searches an index, on both databases, once there are many members."""

import contextlib
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

import peewee
import pytest

from models import blocking, candidates, database, enrollment, folding, matching, memberships, programs, search, tokens
from models.caller import Caller
from models.clock import system_clock
from models.programs import Status
from models.tables import Member, Membership, Token
from tests import support

# With 3,000, Postgres rightly reads the whole table for a list of 100.
MEMBERS = 12_000
TOKENS = 3_000
LARGE = {"member", "membership", "token"}
ROWS_AT_ONCE = 1000
ALIAS = re.compile(r'"(\w+)" AS "(\w+)"')


def person(number: int) -> dict:
    return {
        "first_name": f"First{number % 211}",
        "last_name": f"Last{number % 307}",
        "email": f"guest{number}@example.com",
        "phone_number": f"+4420794{number:05}",
        "address": {"city": f"City{number % 97}", "postal_code": f"{number:05}", "country_code": "GB"},
    }


def identifier(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


ONE = person(1234)
CITY, COUNTRY = ONE["address"]["city"], ONE["address"]["country_code"]
# The contract's combinations, and what else finds people.
FILTERS = {
    "email": {"email": ONE["email"]},
    "membership number": {"membership_number": "NUMBER-1234"},
    "provider membership id": {"provider_membership_id": identifier(1234)},
    "name": {"first_name": ONE["first_name"], "last_name": ONE["last_name"]},
    "location": {"last_name": ONE["last_name"], "city": CITY, "country_code": COUNTRY},
    "phone": {"first_name": ONE["first_name"], "last_name": ONE["last_name"], "phone_number": ONE["phone_number"]},
    "swapped name": {"first_name": ONE["last_name"], "last_name": ONE["first_name"]},
    "address": {"first_name": ONE["first_name"], "last_name": ONE["last_name"], "city": CITY, "postal_code": "01234"},
}


def scans(member_filter: dict) -> list[tuple[blocking.Scan, tuple[str, ...]]]:
    wanted = matching.filter_keys(member_filter)
    return [
        *blocking.identifying(wanted),
        *blocking.namesakes(wanted, limit=20),
        *blocking.partly_exact(wanted),
        *blocking.nearest(wanted),
    ]


SCANS = [
    pytest.param(scan, id=f"{name}: {' and '.join(scan[0].equal + scan[0].following)}-{number}")
    for name, member_filter in FILTERS.items()
    for number, scan in enumerate(scans(member_filter))
]


@pytest.fixture(scope="session")
def crowded(engine: str, make_database: Callable[[str], str]) -> str:
    """A database with many members in two programs, and planners that know what they know in life, SQLite's nothing."""
    url = make_database(engine)
    support.prepare(url)
    now = system_clock()
    with database.session(), database.database.atomic():
        numbers = range(MEMBERS)
        places = [programs.find_program(None), programs.add_program("second", now)]
        ids = {number: number + 1 for number in numbers}
        home = {number: places[number % 7 == 0].id for number in numbers}
        insert(Member, [member_row(number) | {"id": ids[number], "program": home[number]} for number in numbers])
        insert(
            Membership,
            [membership_row(number) | {"member": ids[number], "program": home[number]} for number in numbers],
        )
        insert(Token, [token_row(number) for number in range(TOKENS)])
    with database.session():
        if engine == "postgres":  # by autovacuum
            database.database.execute_sql("ANALYZE")
    return url


def insert(table: type[peewee.Model], rows: list[dict]) -> None:
    for batch in peewee.chunked(rows, ROWS_AT_ONCE):
        table.insert_many(batch).execute()


def member_row(number: int) -> dict:
    customer = person(number)
    address = {name: customer["address"].get(name) for name in enrollment.ADDRESS_FIELDS}
    given = {name: customer.get(name) for name in enrollment.PERSON_FIELDS}
    keys = blocking.member_keys(customer) | {"identity_key": enrollment.identity_key(customer)}
    return given | address | keys | {"created_at": system_clock()}


def token_row(number: int) -> dict:
    now = system_clock()
    return {
        "name": f"token {number}",
        "digest": f"{number:064x}",
        "created_at": now,
        "expires_at": now + tokens.DEFAULT_LIFETIME,
    }


def membership_row(number: int) -> dict:
    return {
        "provider_membership_id": identifier(number),
        "membership_number": f"NUMBER-{number}",
        "number_key": folding.number_key(f"NUMBER-{number}"),
        "status": Status.ENROLLED.value,
        "points": 0,
        "created_at": system_clock(),
    }


@pytest.fixture
def opened(crowded: str) -> Iterator[peewee.Database]:
    opened = support.use_database(crowded)
    with database.session():
        yield opened


@contextlib.contextmanager
def statements(opened: peewee.Database) -> Iterator[list[tuple[str, tuple]]]:
    """Collect what is asked of large tables while the block runs."""
    seen: list[tuple[str, tuple]] = []

    def noting(ask: Callable) -> Callable:
        def note(sql: str, params: Sequence | None = None, *arguments: object) -> object:
            if sql.startswith(("SELECT", "UPDATE")) and LARGE & set(re.findall(r"\w+", sql)):
                seen.append((sql, tuple(params or ())))
            return ask(sql, params, *arguments)

        return note

    with (
        mock.patch.object(opened, "execute_sql", noting(opened.execute_sql)),
        mock.patch.object(opened, "ask", noting(opened.ask)),
    ):
        yield seen


def assert_searches_an_index(opened: peewee.Database, sql: str, params: tuple, *columns: str) -> None:
    """Fail if a large table is read as a whole, or no index is searched by all of these columns."""
    searches = sqlite_searches if isinstance(opened, peewee.SqliteDatabase) else postgres_searches
    conditions = searches(opened, sql, params)
    found = any(all(re.search(rf"\b{column}\b", condition) for column in columns) for condition in conditions)
    assert found, f"{columns} are in none of {conditions}"


def sqlite_searches(opened: peewee.Database, sql: str, params: tuple) -> list[str]:
    steps = [row[3] for row in opened.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params)]
    tables = {alias: table for table, alias in ALIAS.findall(sql)}
    scanned = {step.split()[1] for step in steps if step.startswith("SCAN")}
    assert not {tables.get(name, name) for name in scanned} & LARGE, steps
    return [step for step in steps if step.startswith("SEARCH")]


def postgres_searches(opened: peewee.Database, sql: str, params: tuple) -> list[str]:
    ((plan,),) = opened.execute_sql(f"EXPLAIN (FORMAT JSON) {sql}", params)
    nodes = list(plan_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    scans = [node for node in nodes if node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan")]
    # Walking an index from end to end, as for ORDER BY, reads the whole table too.
    whole = [node for node in scans if node["Relation Name"] in LARGE and "Index Cond" not in node]
    assert not whole, whole
    return [node["Index Cond"] for node in nodes if "Index Cond" in node]


def plan_nodes(node: dict) -> Iterator[dict]:
    yield node
    for child in node.get("Plans", []):
        yield from plan_nodes(child)


@pytest.mark.parametrize("visible", [programs.DEFAULT_VISIBLE_STATUSES, (Status.ENROLLED,)], ids=len)
@pytest.mark.parametrize("scan", SCANS)
def test_a_stretch_is_searched_by_its_columns_and_read_in_their_order(opened, scan, visible):
    shape, values = scan
    program = programs.find_program("default")
    program.visible_statuses = visible
    with statements(opened) as seen:
        candidates._read(program, system_clock(), [(shape, values)])
    ((sql, params),) = seen
    among = shape.among[:1] if shape.among else ()
    assert_searches_an_index(opened, sql, params, "program_id", *shape.equal, *shape.following, *among)
    assert_sorts_nothing(opened, sql, params)


def assert_sorts_nothing(opened: peewee.Database, sql: str, params: tuple) -> None:
    """Fail if rows are sorted before the limit applies: then all of a stretch would be read."""
    if isinstance(opened, peewee.SqliteDatabase):
        steps = [row[3] for row in opened.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params)]
        assert not [step for step in steps if "ORDER BY" in step], steps
        return
    ((plan,),) = opened.execute_sql(f"EXPLAIN (FORMAT JSON) {sql}", params)
    limits = [node for node in plan_nodes(plan[0]["Plan"]) if node["Node Type"] == "Limit"]
    assert limits
    below = [node["Node Type"] for limit in limits for node in plan_nodes(limit)]
    assert "Sort" not in below, below


NOT_AT_ONCE = ("location", "swapped name")
STATEMENTS = {name: 2 if name in NOT_AT_ONCE else 1 for name in FILTERS}


@pytest.mark.parametrize("name", FILTERS)
def test_who_agrees_in_everything_is_found_by_one_query_where_few_do(opened, name):
    program = programs.find_program("default")
    with statements(opened) as seen:
        found = search.search(program, FILTERS[name], system_clock(), limit=20)
    assert found
    assert len(seen) <= STATEMENTS[name]
    for sql, params in seen:
        assert_searches_an_index(opened, sql, params, "program_id")
        assert_sorts_nothing(opened, sql, params)


def test_search_makes_three_queries_about_members_at_most(opened):
    program = programs.find_program("default")
    nobody = {"first_name": "Wilhelmina", "last_name": "Quistgaard", "city": CITY, "postal_code": "01234"}
    with statements(opened) as seen:
        search.search(program, nobody | {"email": "q@example.com", "phone_number": "+442079"}, system_clock(), limit=20)
    assert len(seen) == 3
    for sql, params in seen:
        assert_sorts_nothing(opened, sql, params)


def test_of_thousands_of_namesakes_no_more_are_read_than_scored(opened):
    program = programs.find_program("default")
    known = {"first_name": "First1", "last_name": "Last1", "city": "City1", "postal_code": "00001"}
    wanted = matching.filter_keys(known | {"phone_number": ONE["phone_number"], "email": ONE["email"]})
    every = scans(known | {"phone_number": ONE["phone_number"], "email": ONE["email"]})
    assert len(candidates._read(program, system_clock(), every)) <= blocking.MOST_CANDIDATES
    assert len(candidates.find(program, wanted, system_clock(), limit=20)) <= blocking.MOST_CANDIDATES


def test_who_is_identified_is_never_crowded_out_by_namesakes(opened):
    program = programs.find_program("default")
    known = {"first_name": "First1", "last_name": "Last1", "city": "City1", "postal_code": "00001"}
    for identified in ({"membership_number": "NUMBER-1234"}, {"email": ONE["email"]}):
        wanted = matching.filter_keys(known | identified)
        with mock.patch.object(blocking, "MOST_CANDIDATES", 1):
            (found,) = candidates.find(program, wanted, system_clock(), limit=1000)
        assert found.row["email"] == ONE["email"]


def caller() -> Caller:
    """Someone at a hotel that is registered with the first program."""
    hotel = uuid.UUID(support.HOTEL)
    with contextlib.suppress(programs.AlreadyExists):
        programs.add_enterprise(programs.find_program("default"), hotel, system_clock())
    return Caller(hotel, "tests")


def test_listing_a_hundred_memberships_searches_their_ids(opened):
    asked = [identifier(number) for number in range(100)]
    program = programs.find_program("default")
    with statements(opened) as seen:
        listed = memberships.list_memberships(program, asked, system_clock())
    assert [entry["provider_membership_id"] for entry in listed] == asked
    ((sql, params),) = seen
    assert_searches_an_index(opened, sql, params, "program_id", "provider_membership_id")


def test_linking_searches_the_id(opened):
    with statements(opened) as seen:
        memberships.link(caller(), identifier(2), is_linked=False, mews_customer_id=None, now=system_clock())
    ((sql, params),) = seen
    assert_searches_an_index(opened, sql, params, "program_id", "provider_membership_id")


def test_token_is_searched_by_its_digest_and_noted_by_its_name(opened):
    text, row = tokens.create(f"asked {uuid.uuid4()}", system_clock())
    with statements(opened) as seen:
        assert tokens.verify(text, system_clock()) == tokens.Identity(row.name, None)
        tokens.note_use(row.name, system_clock())
    (select, params), (update, update_params) = seen
    assert_searches_an_index(opened, select, params, "digest")
    assert_searches_an_index(opened, update, update_params, "name")


@pytest.mark.parametrize(
    ("customer", "columns"),
    [
        (ONE, ["identity_key"]),
        (ONE, ["email_key"]),
        ({key: value for key, value in ONE.items() if key != "email"}, ["identity_key"]),
    ],
    ids=["e-mail: identity", "e-mail: imported", "without e-mail"],
)
def test_person_who_enrolls_is_searched_by_identity(opened, customer, columns):
    with statements(opened) as seen:
        enrollment._existing(programs.find_program("default"), customer, enrollment.identity_key(customer))
    ((sql, params),) = seen
    assert_searches_an_index(opened, sql, params, "program_id", *columns)


def test_scan_would_be_noticed(opened):
    query = Member.select().where(Member.first_name == "First1")
    with pytest.raises(AssertionError, match=r"SCAN|Seq Scan"):
        assert_searches_an_index(opened, *query.sql(), "first_name")


def test_index_walked_from_end_to_end_would_be_noticed(opened):
    query = Token.select().where(Token.revoked_at.is_null()).order_by(Token.id).limit(1)
    with pytest.raises(AssertionError, match=r"SCAN|Index Scan|Seq Scan"):
        assert_searches_an_index(opened, *query.sql(), "id")
