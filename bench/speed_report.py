"""The result of `make bench`: as plain values, as tables for people and for the documentation, and as a plot."""

import datetime
import os
import pathlib
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from bench import speed_plot, start_up
from bench.contenders import FLOOR, NAMES, OURS
from bench.load import percentile
from bench.report import show_tables, spread
from bench.rounds import Measurement, Plan
from bench.start_up import StartUp

MEGABYTE = 2**20
HEADING = "## Measured"
TO_REACH = 0.75


def summarize(found: Sequence[tuple[Sequence[Measurement], Sequence[StartUp]]], plan: Plan, arguments: str) -> dict:
    """Return the result as plain values: times are microseconds, memory is bytes.

    Args:
        found: the measurements and the starts of each engine.
        plan: how much was measured.
        arguments: of the command.
    """
    return {
        "command": f"make bench{f' ARGS={arguments!r}' if arguments else ''}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": _machine(),
        "plan": asdict(plan),
        "measurements": [_measurement(one) for engine, _ in found for one in engine],
        "ratios": [ratio for engine, _ in found for ratio in _ratios(engine)],
        "starts": [_start(one) for _, starts in found for one in starts],
    }


def _machine() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    load = os.getloadavg()[1]
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model}), Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, load {load:.1f} at the end"
    )


def _measurement(one: Measurement) -> dict:
    latencies = [latency for load in one.even for latency in load.latencies]
    return {
        "engine": one.engine,
        "operation": one.operation,
        "server": one.server,
        "cpu": _microseconds(statistics.median(one.worker)),
        "cpuSpread": spread(one.worker),
        "cpuBackends": _microseconds(statistics.median(one.backends)),
        "requestsPerSecond": round(statistics.median(one.rates), 1),
        "evenRate": round(one.even_rate, 1),
        "evenRequests": len(latencies),
        "latencyP50": _microseconds(percentile(latencies, 50)),
        "latencyP99": _microseconds(percentile(latencies, 99)),
        "memory": one.memory,
    }


def _start(one: StartUp) -> dict:
    return {
        "engine": one.engine,
        "server": one.server,
        "firstAnswer": _microseconds(statistics.median(one.seconds)),
        "firstAnswerLatest": _microseconds(max(one.seconds)),
        "cpu": _microseconds(statistics.median(one.cpu)),
        "memoryArbiter": one.arbiter,
        "memoryWorker": one.worker,
        "memoryWorkerAlone": one.worker_alone,
    }


def _ratios(engine: Sequence[Measurement]) -> Iterator[dict]:
    """Yield what each operation costs on our server, as a share of the other servers' cost in the same rounds."""
    found = {(one.operation, one.server): one for one in engine}
    for (operation, server), other in found.items():
        ours = found.get((operation, OURS))
        if ours is None or server == OURS:
            continue
        cpu = _quotients(ours.worker, other.worker)
        whole = _quotients(_whole(ours), _whole(other))
        p99 = _quotients(_p99(ours), _p99(other))
        yield {
            "engine": ours.engine,
            "operation": operation,
            "server": server,
            "cpu": _median(cpu),
            "cpuSpread": spread(cpu),
            "cpuWithBackends": _median(whole),
            "cpuWithBackendsSpread": spread(whole),
            "latencyP99": _median(p99),
            "latencyP99Spread": spread(p99),
        }


def _whole(one: Measurement) -> list[float]:
    return [worker + backends for worker, backends in zip(one.worker, one.backends, strict=True)]


def _p99(one: Measurement) -> list[float]:
    return [percentile(load.latencies, 99) for load in one.even]


def _quotients(ours: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(ours, others, strict=True)]


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)


def _microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 1)


def show(result: dict) -> None:
    """Print the tables to standard output."""
    show_tables(_tables(result))


def write(result: dict, path: pathlib.Path) -> None:
    """Write the tables to a Markdown file, in place of what stands below its heading, and the plot beside it."""
    before = path.read_text().partition(f"{HEADING}\n")[0] if path.exists() else ""
    plot = path.with_suffix(".svg")
    plot.write_text(speed_plot.draw(result))
    path.write_text(f"{before}{HEADING}\n\n{markdown(result, plot.name)}")


def markdown(result: dict, plot: str) -> str:
    """Return the tables as Markdown, with a link to the plot."""
    plan = result["plan"]
    parts = [
        f"By `{result['command']}` on {result['date']}: {result['machine']}. {plan['members']:,} members, "
        f"{plan['workers']} worker process{'es' if plan['workers'] > 1 else ''} each, {plan['rounds']} rounds of "
        f"{plan['seconds']:g} s, {plan['connections']} connections by {plan['driver']}.\n",
        f"![Processor time per request]({plot})\n",
    ]
    for title, head, rows in _tables(result):
        lines = [head, ["---"] * len(head), *rows]
        parts.append("\n".join([f"{title}:", "", *(f"| {' | '.join(line)} |" for line in lines), ""]))
    return "\n".join(parts)


def _tables(result: dict) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Yield the title, head and rows of each table."""
    if result["ratios"]:
        yield "This server's cost as a share of others'", *_table_of_ratios(result["ratios"])
    for engine in dict.fromkeys(one["engine"] for one in result["measurements"]):
        measurements = [one for one in result["measurements"] if one["engine"] == engine]
        cpu = "CPU µs" if engine == "sqlite" else "CPU µs, worker + Postgres"
        head = ["operation", "server", cpu, "requests/s", "at requests/s", "p50 / p99 ms"]
        yield engine, head, list(map(_row, measurements))
    yield "Memory of a worker process", *_table_of_memory(result["measurements"])
    yield (
        f"Start with {start_up.WORKERS} worker processes, {start_up.STARTS} times",
        *_table_of_starts(result["starts"]),
    )


def _row(one: dict) -> list[str]:
    backends = f" + {one['cpuBackends']:,.0f}" if one["engine"] == "postgres" else ""
    return [
        one["operation"],
        one["server"],
        f"{one['cpu']:,.0f}{backends} ±{one['cpuSpread']:.0%}",
        f"{one['requestsPerSecond']:,.0f}",
        f"{one['evenRate']:,.0f}",
        f"{one['latencyP50'] / 1000:.1f} / {one['latencyP99'] / 1000:.1f}",
    ]


def _table_of_ratios(ratios: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    """Return the ratios with a column for each other server; the last ones are about the peer that costs less."""
    others = [name for name in NAMES if any(ratio["server"] == name for ratio in ratios)]
    head = ["engine", "operation", *(f"CPU / {name}" for name in others), "with Postgres", f"at most {TO_REACH}", "p99"]
    rows = []
    for engine, operation in dict.fromkeys((ratio["engine"], ratio["operation"]) for ratio in ratios):
        found = {one["server"]: one for one in ratios if (one["engine"], one["operation"]) == (engine, operation)}
        peers = [one for name, one in found.items() if name != FLOOR]
        best: dict | None = max(peers, key=lambda one: one["cpu"], default=None)
        rows.append([engine, operation, *(_plus_minus(found[name], "cpu") for name in others), *_goal(best)])
    return head, rows


def _goal(best: dict | None) -> list[str]:
    if best is None:
        return ["", "", ""]
    whole = _plus_minus(best, "cpuWithBackends") if best["engine"] == "postgres" else ""
    return [whole, "yes" if best["cpu"] <= TO_REACH else "no", _plus_minus(best, "latencyP99")]


def _plus_minus(ratio: dict, name: str) -> str:
    return f"{ratio[name]:.2f} ±{ratio[f'{name}Spread']:.0%}"


def _table_of_memory(measurements: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    memory = {(one["engine"], one["server"]): one["memory"] for one in measurements}
    return ["engine", "server", "PSS MB"], [[*key, f"{size / MEGABYTE:.1f}"] for key, size in memory.items()]


def _table_of_starts(starts: Sequence[dict]) -> tuple[list[str], list[list[str]]]:
    head = ["engine", "server", "first answer after s", "CPU s", "PSS MB of arbiter, a worker", "a worker alone"]
    return head, [
        [
            one["engine"],
            one["server"],
            f"{one['firstAnswer'] / 1e6:.2f}, {one['firstAnswerLatest'] / 1e6:.2f} at most",
            f"{one['cpu'] / 1e6:.2f}",
            f"{one['memoryArbiter'] / MEGABYTE:.1f}, {one['memoryWorker'] / MEGABYTE:.1f}",
            f"{one['memoryWorkerAlone'] / MEGABYTE:.1f}",
        ]
        for one in starts
    ]
