"""The result of `make bench-scale`: as plain values, and as tables for people and for the documentation."""

import itertools
import statistics
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from bench import queries
from bench.cells import Cell

WIDTH_OF_FILES = 230
MEGABYTE = 2**20


def summarize(cells: Iterable[Cell], memory: Sequence[dict]) -> dict:
    """Return the result as plain values; times are milliseconds, memory is bytes.

    Args:
        cells: with their costs.
        memory: of the worker process of each engine and number of members.
    """
    listed = list(cells)
    smallest = {(cell.engine, cell.combination, cell.kind): cell for cell in sorted(listed, key=_members, reverse=True)}
    measurements = [_measurement(cell, smallest[cell.engine, cell.combination, cell.kind]) for cell in listed]
    return {"measurements": measurements, "memory": list(memory)}


def _members(cell: Cell) -> int:
    return cell.members


def _measurement(cell: Cell, smallest: Cell) -> dict:
    costs = cell.costs
    cuts = statistics.quantiles(costs.latencies, n=100, method="inclusive")
    # In one round all sizes were measured within a second or so, and what else the machine does weighs on all alike.
    # Linux counts what a process does without a pause a little later, so that of a short visit there may be none.
    growth = [large / small for large, small in zip(costs.total, smallest.costs.total, strict=True) if small]
    return {
        "engine": cell.engine,
        "members": cell.members,
        "fields": queries.label(cell.combination),
        "query": cell.kind,
        "requests": len(costs.latencies),
        "cpuWorker": _milliseconds(statistics.median(costs.worker)),
        "cpuBackends": _milliseconds(statistics.median(costs.backends)),
        "cpu": _milliseconds(statistics.median(costs.total)),
        "cpuSpread": spread(costs.total),
        "growth": round(statistics.median(growth), 3) if growth else None,
        "growthSpread": spread(growth),
        "latencyP50": _milliseconds(cuts[49]),
        "latencyP99": _milliseconds(cuts[98]),
        "candidatesMean": round(statistics.mean(cell.candidates), 1),
        "candidatesMost": max(cell.candidates),
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def spread(values: Sequence[float]) -> float:
    """Return half the distance between the quartiles, as a share of the median."""
    if len(values) < 2:
        return 0.0
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive")
    return round((upper - lower) / 2 / middle, 3)


def show(result: dict) -> None:
    """Print the tables to standard output."""
    show_tables(_tables(result))


def show_tables(tables: Iterable[tuple[str, list[str], list[list[str]]]]) -> None:
    """Print tables, each of (title, heads, rows), to standard output."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=WIDTH_OF_FILES)
    for title, head, rows in tables:
        table = Table(*head, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def markdown(result: dict) -> str:
    """Return the tables as Markdown."""
    parts = []
    for title, head, rows in _tables(result):
        lines = [head, ["---"] * len(head), *rows]
        parts.append("\n".join([f"{title}:", "", *(f"| {' | '.join(line)} |" for line in lines), ""]))
    return "\n".join(parts)


def _tables(result: dict) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Yield the title, head and rows of each table."""
    for engine, found in itertools.groupby(result["measurements"], key=lambda measurement: measurement["engine"]):
        measurements = list(found)
        sizes = sorted({measurement["members"] for measurement in measurements})
        cpu = "CPU ms" if engine == "sqlite" else "CPU ms, worker + Postgres"
        head = [
            "fields",
            "query",
            *_head(cpu, sizes),
            "growth",
            *_head("p50 / p99 ms", sizes),
            *_head("candidates", sizes),
        ]
        yield f"{engine}, {sizes[-1]:,} members at most", head, list(_rows(measurements))
    yield (
        "Memory of the worker process",
        ["engine", "members", "RSS MB", "PSS MB"],
        [_memory(row) for row in result["memory"]],
    )


def _head(name: str, sizes: Sequence[int]) -> list[str]:
    return [f"{name}, {_short(size)}" for size in sizes]


def _short(size: int) -> str:
    return f"{size // 1_000_000}M" if size % 1_000_000 == 0 else f"{size // 1000}k"


def _rows(measurements: Sequence[dict]) -> Iterator[list[str]]:
    def key(measurement: dict) -> tuple[str, str]:
        return measurement["fields"], measurement["query"]

    for fields, query in dict.fromkeys(map(key, measurements)):
        sizes = [measurement for measurement in measurements if key(measurement) == (fields, query)]
        yield [
            fields,
            query,
            *map(_cpu, sizes),
            _growth(sizes[-1]),
            *(f"{size['latencyP50']:.1f} / {size['latencyP99']:.1f}" for size in sizes),
            *(f"{size['candidatesMean']:g} / {size['candidatesMost']}" for size in sizes),
        ]


def _growth(largest: dict) -> str:
    return "unknown" if largest["growth"] is None else f"{largest['growth']:.2f} ±{largest['growthSpread']:.0%}"


def _cpu(size: dict) -> str:
    backends = f" + {size['cpuBackends']:.2f}" if size["engine"] == "postgres" else ""
    return f"{size['cpuWorker']:.2f}{backends} ±{size['cpuSpread']:.0%}"


def _memory(row: dict) -> list[str]:
    return [row["engine"], f"{row['members']:,}", *(f"{row[name] / MEGABYTE:.1f}" for name in ("Rss", "Pss"))]
