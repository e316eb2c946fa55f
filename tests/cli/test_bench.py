"""`make bench` and `make bench-check`, small: all servers answer right, and what is wrong or too dear is noticed."""

import contextlib
import http.server
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import layered_server, load, processes, verification, workload
from bench import layers as layers_of_bench
from bench.contenders import FLOOR, LAYERED, NAMES, OURS, Contender
from bench.databases import Databases
from tests import support
from tests.cli.commands import TRACEBACK, environment

ROOT = Path(__file__).parents[2]
SECONDS = 600
ENGINES = ["sqlite", "postgres"]
SMALL = ("--quick", "--members", "500", "--seconds", "0.1", "--driver", "builtin")


def bench(module: str, *words: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{module}", *words],
        cwd=ROOT,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == code, done.stderr
    assert TRACEBACK not in done.stderr
    return done


def test_it_measures_each_operation_of_each_server_on_both_engines(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text("# Performance\n\nBefore.\n\n## Measured\n\nOld figures.\n")
    result = json.loads(bench("speed", *SMALL, "--markdown", str(document), "--json").stdout)
    found = {(row["engine"], row["operation"], row["server"]): row for row in result["measurements"]}
    assert found.keys() == {
        (engine, name, server) for engine in ENGINES for name in workload.OPERATIONS for server in NAMES
    }
    assert all(row["cpu"] > 0 and row["requestsPerSecond"] > row["evenRate"] > 0 for row in found.values())
    assert all((row["cpuBackends"] > 0) == (row["engine"] == "postgres") for row in found.values())
    assert all(row["latencyP99"] >= row["latencyP50"] > 0 and row["memory"] > 0 for row in found.values())
    for ratio in result["ratios"]:
        ours = found[ratio["engine"], ratio["operation"], OURS]
        other = found[ratio["engine"], ratio["operation"], ratio["server"]]
        assert ratio["cpu"] == pytest.approx(ours["cpu"] / other["cpu"], rel=0.01)
    starts = {(row["engine"], row["server"]): row for row in result["starts"]}
    assert starts.keys() == {(engine, server) for engine in ENGINES for server in NAMES}
    assert all(row["firstAnswerLatest"] >= row["firstAnswer"] > 0 < row["cpu"] for row in starts.values())
    assert all(row["memoryWorkerAlone"] > row["memoryWorker"] > 0 < row["memoryArbiter"] for row in starts.values())
    assert_written(document, len(found), len(result["ratios"]))


def test_seconds_that_wrk_cannot_count_are_refused_at_once():
    assert "wrk takes whole seconds" in bench("speed", "--seconds", "1.5", code=2).stderr


def test_the_layers_of_the_server_make_up_the_whole():
    found = json.loads(bench("layers", "--members", "500", "--rounds", "1", "--requests", "20", "--json").stdout)
    layers = [layers_of_bench.REST, *layered_server.LAYERS]
    assert found.keys() == set(ENGINES)
    for costs in (costs for of_engine in found.values() for costs in of_engine.values()):
        assert sum(costs[layer] for layer in layers) == pytest.approx(costs[LAYERED], abs=1)
        assert all(costs[layer] > 0 for layer in layered_server.LAYERS)
        assert costs[OURS] > 0 < costs[FLOOR]


def test_sigterm_leaves_neither_a_server_nor_a_file():
    command = [sys.executable, "-m", "bench.speed", *SMALL, "--engine", "postgres"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True) as running:
        said = ""
        while "Checking the answers" not in said:
            said += (line := running.stderr.readline())
            assert line, said
        servers = processes.children(running.pid)
        folder = (processes.PROC / f"{servers[0]}/fd/1").readlink().parent  # where its log is
        postmaster = int((folder / "postgres/postmaster.pid").read_text().splitlines()[0])
        running.terminate()
        said += running.communicate(timeout=SECONDS)[1]
    assert (running.returncode, TRACEBACK in said) == (1, False)
    assert len(servers) == len(NAMES)
    assert not folder.exists()
    assert not any(processes.title(process) for process in (postmaster, *servers))


def assert_written(document: Path, measurements: int, ratios: int) -> None:
    """The tables stand in place of the old ones, and the plot beside them has a bar for each measurement at least."""
    text = document.read_text()
    assert text.startswith("# Performance\n\nBefore.\n\n## Measured\n\nBy `make bench")
    assert "Old figures" not in text
    tables, servers = 5, len(NAMES)
    rows = measurements + ratios // (servers - 1) + 2 * len(ENGINES) * servers
    assert text.count("\n| ") == rows + 2 * tables
    bars = [
        element
        for element in ElementTree.parse(document.with_suffix(".svg")).iter("{http://www.w3.org/2000/svg}rect")
        if float(element.attrib["width"]) > 0
    ]
    assert len(bars) > measurements


def test_without_wrk_it_says_how_to_get_it():
    assert "apt-get install wrk" in bench("speed", PATH="/nowhere", code=1).stderr


def test_the_check_fails_if_an_operation_has_become_dearer(tmp_path):
    before = {"sqlite": {"search": 100, "enroll": 100, "list": 0.1, "link": 100}}
    (tmp_path / "ratios.json").write_text(json.dumps(before))
    small = ("--engine", "sqlite", "--rounds", "1", "--requests", "5", "--ratios", str(tmp_path / "ratios.json"))
    done = bench("speed_check", *small, "--json", code=1)
    assert "Dearer than before by more than 40%: list on sqlite" in done.stderr
    assert [name for name in workload.OPERATIONS if f"{name} on sqlite" in done.stderr] == ["list"]
    assert json.loads(done.stdout)["sqlite"].keys() == before["sqlite"].keys()
    assert json.loads((tmp_path / "ratios.json").read_text()) == before


@pytest.fixture(scope="module")
def population() -> Iterator[str]:
    """The URL of a database with a population."""
    with (
        tempfile.TemporaryDirectory(prefix="loyalty-bench-") as folder,
        contextlib.closing(Databases(Path(folder))) as databases,
    ):
        yield databases.ensure("sqlite", 500, is_new=False)[0]


def contender(server: support.Server) -> Contender:
    return Contender(OURS, server.port, server.token, 0, [], server.database_url, None)


def test_a_server_that_answers_wrong_is_not_measured(population, start):
    calls = workload.make(population, 100)
    with pytest.raises(verification.WrongAnswer, match="loyalty answers search"):
        verification.check([contender(start(LOYALTY_WORKERS="1"))], calls)


def test_answers_other_than_2xx_stop_the_load(population, start):
    lists = workload.make(population, 100)["list"]
    wrong = support.Server("127.0.0.1", start(LOYALTY_WORKERS="1").port, "wrong", population)
    with pytest.raises(load.LoadFailed, match="answered 401"):
        load.run_some(contender(wrong), workload.operation("list"), lists, 0, requests=1)


def test_each_answer_under_load_is_checked(population, start):
    """The server has other data, so that it answers with 200, and not what is asked for."""
    calls, server = workload.make(population, 100)["search"], contender(start(LOYALTY_WORKERS="1"))
    done = load.run_some(server, workload.operation("search"), calls, 98, requests=5)
    assert [answer.position for answer in done.answers] == [98, 99, 100, 101, 102]
    with pytest.raises(verification.WrongAnswer, match="loyalty answers search"):
        verification.check_load(server, "search", calls, done.answers)
    with pytest.raises(verification.WrongAnswer, match=r"answers search .* with nonsense"):
        verification.check_load(server, "search", calls, [load.Answer(0, b"nonsense")])


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers 20 requests a second, one after the other."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.turn:
            threading.Event().wait(0.05)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_latency_counts_from_when_a_request_was_due(population):
    """Of twice as many requests as a server can answer, the last ones wait for half of the time and longer."""
    lists = workload.make(population, 100)["list"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.turn = threading.Lock()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        slow = Contender("slow", server.server_port, "token", 0, [], population, None)
        done = load.run_open(slow, workload.operation("list"), lists, 0, seconds=1, rate=40)
        server.shutdown()
        thread.join()
    assert done.requests == done.position > 20
    assert load.percentile(done.latencies, 99) > 0.4
