"""What is measured: an engine, a number of members, a combination of fields and a kind of query."""

from dataclasses import dataclass, field

from app import settings
from bench import queries
from bench.queries import Query
from bench.servers import Costs
from models import candidates, database, matching, programs
from models.clock import system_clock

SEED = 1
LIMIT = settings.Settings.search_limit
COUNTED = 20  # of the queries, whose candidates are counted


@dataclass
class Cell:
    """One of them, with the queries that are asked and what they cost.

    Attributes:
        candidates: how many rows search reads and scores, for some of the queries.
    """

    engine: str
    members: int
    combination: tuple[str, ...]
    kind: str
    asked: list[Query]
    candidates: list[int]
    costs: Costs = field(default_factory=Costs)


def make(engine: str, members: int, url: str, people: int) -> list[Cell]:
    """Return all cells of one database.

    Args:
        engine: `sqlite` or `postgres`.
        members: how many the database has.
        url: of the database.
        people: how many different queries each cell has, at most.
    """
    opened = database.connect(url, deadline=60)
    with database.session():
        cells = [
            Cell(engine, members, combination, kind, asked, [_count_candidates(query) for query in asked[:COUNTED]])
            for (combination, kind), asked in queries.make(people, SEED).items()
        ]
    opened.close_all()
    return cells


def _count_candidates(query: Query) -> int:
    program = programs.find_program(None)
    wanted = matching.filter_keys(query.plain_values)
    return len(candidates.find(program, wanted, system_clock(), limit=LIMIT))
