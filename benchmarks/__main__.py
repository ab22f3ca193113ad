"""Measure the gateway beside others that stand before the same Dify.

The peers have one core for themselves; the clients and the upstream have another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import uvloop
from rich.console import Console

from benchmarks import bars, charts, check, fresh, nginx, peers, report
from benchmarks.dialects import DIFY
from benchmarks.figures import FLOOR, LIMIT, OURS, TWO, results
from benchmarks.fresh import Fresh
from benchmarks.load import WrongAnswer
from benchmarks.measure import DIRECT, Subject, Window, rounds
from benchmarks.peers import Peer, Place
from benchmarks.processes import CORES, NotStarted, Process, interruptible
from benchmarks.work import CENTRAL, QUICK, WORKS, Work

HERE = Path(__file__).parent
RESULTS, QUICK_RESULTS = HERE / "results.json", HERE / "results-quick.json"
RATIOS, PLOTS = HERE / "ratios.json", HERE / "plots"
LEAST_ROUNDS = 3
"""Of a run that is committed: a median of fewer is none."""
TABLE_WIDTH = 140
PAGE, IMAGES = peers.ROOT / "docs/performance.md", peers.ROOT / "docs/images"
BEGIN, END = "<!-- figures: written by `python -m benchmarks --page` -->\n", "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    Attributes:
        peers: Names of those that are measured; empty for all.
        works: That they are asked for.
        rounds: Of all works at all peers.
        starts: Of a fresh gateway.
    """

    peers: frozenset[str]
    works: tuple[Work, ...]
    rounds: int
    starts: int


FULL = Plan(frozenset(), WORKS, rounds=3, starts=3)
QUICKLY = Plan(frozenset({LIMIT, FLOOR, OURS}), QUICK, rounds=3, starts=1)
CHECK = Plan(frozenset({FLOOR, OURS}), CENTRAL, rounds=5, starts=0)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run brought.

    Attributes:
        windows: Of all rounds.
        fresh: Of each start.
        peers: Those that were measured.
        machine: What it ran on, by name.
    """

    windows: Sequence[Window]
    fresh: Sequence[Fresh]
    peers: Sequence[Peer]
    machine: Mapping[str, str]

    @property
    def titles(self) -> dict[str, str]:
        """Name -> title of the peers that have a column."""
        return {peer.name: peer.title for peer in self.peers if peer.name != TWO}


def main() -> int:
    """Run the command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rounds",
        type=int,
        choices=range(1, 101),
        metavar="N",
        help="windows of each work at each peer, 1 to 100 (default 3; of --check 5)",
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--page", action="store_true", help="write the figures into docs/performance.md, and ratios.json"
    )
    kinds.add_argument("--quick", action="store_true", help="few works at few peers")
    kinds.add_argument("--check", action="store_true", help="only compare with ratios.json; fail if slower")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH)
    if CORES[0] == CORES[1]:
        console.print("The benchmark needs two cores: the peers have one, clients and upstream the other.")
        return 1
    plan = CHECK if arguments.check else QUICKLY if arguments.quick else FULL
    if plan is FULL and find_spec("matplotlib") is None:
        console.print("The plots need matplotlib, which `make bench` installs: the extra `bench`.")
        return 1
    count = arguments.rounds or plan.rounds
    if arguments.page and count < LEAST_ROUNDS:
        console.print(f"What is written into the documents takes {LEAST_ROUNDS} rounds or more.")
        return 1
    try:
        if arguments.check:
            return compare(console, count)
        ran = run(console, plan, count)
    except (NotStarted, WrongAnswer) as error:
        console.print(f"No figures: {error}", markup=False, style="red")
        return 1
    except check.NotComparable as error:
        console.print(f"Not checked: {error}.", markup=False, style="red")
        return 1
    tables, remarks, found = publish(console, ran, RESULTS if plan is FULL else QUICK_RESULTS)
    if plan is FULL:
        # Here, for the other plans do without matplotlib.
        from benchmarks import plots

        images = IMAGES if arguments.page else PLOTS
        images.mkdir(exist_ok=True)
        drawn = plots.draw(images, charts.charts(ran.windows, found.results, ran.titles), ran.titles)
        console.print(f"Plots: {images.relative_to(peers.ROOT)}/")
        if arguments.page:
            RATIOS.write_text(json.dumps(check.ratios(found.results.values()), indent=2) + "\n")
            _write_page(report.page(tables, drawn, remarks, ran.machine))
    return 0


def run(console: Console, plan: Plan, count: int) -> Run:
    """Start everybody and measure."""
    measured, nginx_version = _peers(console, plan)
    os.sched_setaffinity(0, {CORES[0]})
    _allow_sockets()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opendify-bench-")))
        upstream = stack.enter_context(peers.upstream(directory, CORES[0]))
        status = stack.enter_context(console.status(""))
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        started: list[Fresh] = []
        for number in range(plan.starts):
            status.update(f"start {number + 1} of {plan.starts}")
            (ours,) = (peer for peer in measured if peer.name == OURS)
            place = _place(directory / f"fresh-{number}", upstream)
            started.append(fresh.start(ours, place, upstream, runner))
        subjects = [Subject(DIRECT, DIFY, upstream, upstream.memory())]
        for peer in measured:
            status.update(f"start {peer.title}")
            process = stack.enter_context(peer.start(_place(directory / peer.name, upstream)))
            if peer.name == TWO:
                process.spread()
            subjects.append(Subject(peer.name, peer.dialect, process, process.memory(), peer.skips))
        windows = runner.run(rounds(count, subjects, plan.works, upstream, status.update))
    return Run(windows, started, measured, _machine(measured, nginx_version))


def _peers(console: Console, plan: Plan) -> tuple[list[Peer], str]:
    """Those of a plan that this machine has, and the version of nginx."""
    measured = [peer for peer in peers.PEERS if not plan.peers or peer.name in plan.peers]
    for peer in filter(peers.missing, measured):
        console.print(f"{peer.title} is left out: `make bench` installs it.", style="yellow")
    measured = [peer for peer in measured if not peers.missing(peer)]
    if all(peer.name != LIMIT for peer in measured):
        return measured, "not asked"
    try:
        return measured, nginx.version(nginx.find())
    except nginx.NoNginx as error:
        console.print(str(error), style="yellow")
        return [peer for peer in measured if peer.name != LIMIT], "none"


def _allow_sockets() -> None:
    """Take as many open files as the system allows: 800 streams are 1,600 sockets of a peer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _place(directory: Path, upstream: Process) -> Place:
    directory.mkdir()
    return Place(directory, upstream.port, CORES[1])


def publish(console: Console, ran: Run, path: Path) -> tuple[list[report.Lines], list[str], bars.Found]:
    """Print a run, and write all of it. Returns the tables, the remarks, and what was found."""
    found = results(ran.windows, list(ran.titles))
    everything = bars.Found({result.figure.name: result for result in found}, ran.fresh)
    said = bars.verdicts(everything)
    tables = [
        report.lines(found, ran.titles),
        report.steps(ran.windows),
        (list(bars.HEADS), [verdict.cells() for verdict in said]),
    ]
    for table in tables:
        console.print(report.printed(*table))
    remarks = report.remarks(ran.windows, said)
    for line in remarks:
        console.print(line, markup=False, soft_wrap=True)
    record = report.record(ran.windows, everything, said, ran.machine, ran.titles)
    path.write_text(json.dumps(record, indent=1) + "\n")
    console.print(f"All windows: {path.relative_to(peers.ROOT)}")
    return tables, remarks, everything


def compare(console: Console, count: int) -> int:
    """Print instructions and ratios beside the committed ones. Returns the exit code."""
    # Here, for the other commands do without the gateway's modules.
    from benchmarks import instructions

    before = _committed()
    more = instructions.judge(console, where_possible=True)
    ran = run(console, CHECK, count)
    changes = check.changes(check.ratios(results(ran.windows, list(ran.titles))), before)
    for change in changes:
        console.print(str(change), style="red" if change.slower else "")
    return 1 if more or any(change.slower for change in changes) else 0


def _committed() -> dict[str, float]:
    try:
        return check.committed(RATIOS.read_bytes())
    except FileNotFoundError as error:
        raise check.NotComparable(f"there is no {RATIOS.name} to compare with: {check.WRITE}") from error
    except OSError as error:
        raise check.NotComparable(f"{RATIOS.name} can't be read: {error.strerror}") from error


def _machine(measured: Sequence[Peer], nginx_version: str) -> dict[str, str]:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    ours = {name: version(name) for name in ("uvicorn", "uvloop", "httptools", "aiohttp")}
    theirs = {peer.name: peers.pinned_version(peer) for peer in measured if peer.environment}
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "nginx": nginx_version,
        **ours,
        **theirs,
    }


def _write_page(figures: str) -> None:
    text = PAGE.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE.name} has no place for figures: {BEGIN.strip()} … {END}")
    PAGE.write_text(f"{before}{begin}\n{figures}\n\n{end}{after}")


if __name__ == "__main__":
    sys.exit(interruptible(main))
