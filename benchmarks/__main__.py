"""Measure the gateway beside nginx and a minimal proxy, in one run: `make bench`.

The peers have one core for themselves; the clients and the upstream have another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import uvloop
from rich.console import Console

from benchmarks import nginx, peers, report
from benchmarks.dialects import DIFY
from benchmarks.load import WrongAnswer
from benchmarks.measure import DIRECT, Subject, Window, rounds
from benchmarks.processes import NotStarted, Process
from benchmarks.work import SHAPED, WORKS

RESULTS = Path(__file__).with_name("results.json")
TABLE_WIDTH = 100
PAGE = peers.ROOT / "docs/performance.md"
BEGIN, END = "<!-- figures: written by `python -m benchmarks --page` -->\n", "<!-- end of figures -->"


def main() -> int:
    """Run the command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rounds",
        type=int,
        choices=range(1, 101),
        default=7,
        metavar="N",
        help="windows of each work at each peer, 1 to 100 (default 7)",
    )
    parser.add_argument("--page", action="store_true", help="write the figures into docs/performance.md")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        console.print("The benchmark needs two cores: the peers have one, clients and upstream the other.")
        return 1
    try:
        run(console, arguments.rounds, cores, page=arguments.page)
    except (NotStarted, WrongAnswer) as error:
        console.print(f"No figures: {error}", markup=False, style="red")
        return 1
    return 0


def run(console: Console, count: int, cores: Sequence[int], *, page: bool) -> None:
    """Start everybody, measure, print, and write `RESULTS`."""
    measured = list(peers.PEERS)
    try:
        nginx_version = nginx.version(nginx.find())
    except nginx.NoNginx as error:
        console.print(str(error), style="yellow")
        measured = [peer for peer in measured if peer.name != "nginx"]
        nginx_version = "none"
    os.sched_setaffinity(0, {cores[0]})
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opendify-bench-")))
        # The clients' core, unless there is a third.
        upstream = stack.enter_context(peers.upstream(directory, cores[1] if len(cores) > 2 else cores[0]))
        subjects = [Subject(DIRECT, DIFY, upstream, upstream.memory())]
        for peer in measured:
            own = directory / peer.name
            own.mkdir()
            process = stack.enter_context(peer.start(peers.Place(own, upstream.port, cores[-1])))
            subjects.append(Subject(peer.name, peer.dialect, process, process.memory()))
        windows = _measure(console, count, subjects, upstream)
    titles = {peer.name: peer.title for peer in measured}
    found = report.results(windows, list(titles))
    said = [*report.verdict(found), *report.shaped(windows), *report.remarks(windows)]
    machine = _machine(nginx_version)
    console.print(report.printed(found, titles))
    for line in said:
        console.print(line, markup=False, soft_wrap=True)
    RESULTS.write_text(json.dumps(report.record(windows, found, machine, said), indent=1) + "\n")
    console.print(f"All windows: {RESULTS.relative_to(peers.ROOT)}")
    if page:
        _write_page(report.markdown(found, titles), said, machine)


def _measure(console: Console, count: int, subjects: Sequence[Subject], upstream: Process) -> list[Window]:
    with console.status("") as status, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(rounds(count, subjects, (*WORKS, *SHAPED), upstream, status.update))


def _machine(nginx_version: str) -> dict[str, str]:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "nginx": nginx_version,
    } | {name: version(name) for name in ("uvicorn", "uvloop", "httptools", "aiohttp")}


def _write_page(table: str, said: Sequence[str], machine: Mapping[str, str]) -> None:
    text = PAGE.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE.name} has no place for figures: {BEGIN.strip()} … {END}")
    named = ", ".join(f"{name} {value}" for name, value in machine.items())
    remarks = "\n".join(f"- {line}" for line in said)
    PAGE.write_text(f"{before}{begin}\n{table}\n\n{remarks}\n- Machine: {named}.\n\n{end}{after}")


if __name__ == "__main__":
    sys.exit(main())
