"""Processes that are measured: pinned to a core, their CPU time and memory read from the kernel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

CORES = (min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0)))
"""The two cores that all takes place on, of however many: clients and upstream have the first, peers the
last. Found before this process pins itself. On a machine with one core they are the same."""

START_SECONDS = 30.0
"""How long a process may take until it answers."""

_END_SECONDS = 10.0

_NO_PROXY = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")
"""For libraries that follow the machine's proxies: each peer asks the upstream itself."""


class NotStarted(Exception):
    """A process ended, or did not answer, before it could be measured."""


class Process:
    """A running process and its children.

    Attributes:
        pid: Of the process, without its children.
        port: Where it listens, on 127.0.0.1.
        core: The only core that it runs on.
    """

    def __init__(self, pid: int, port: int, core: int) -> None:
        self.pid = pid
        self.port = port
        self.core = core

    def cpu(self) -> float:
        """CPU seconds so far, to the nanosecond, in user and kernel, of all threads."""
        return sum(cpu_of(pid) for pid in self._tree())

    def memory(self) -> int:
        """Bytes in RAM now (resident set)."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._tree())
        return pages * os.sysconf("SC_PAGE_SIZE")

    def spread(self) -> None:
        """Let all that runs of it, with its threads, run on both cores."""
        for pid in self._tree():
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), CORES)

    def _tree(self) -> Iterator[int]:
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, by its CPU-time clock (the kernel's `clock_getcpuclockid`)."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9


def busy() -> float:
    """CPU seconds that `CORES` have spent on anything."""
    spent = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in (f"cpu{core}" for core in CORES):
            # user, nice, system, idle, iowait, irq, softirq, steal
            ticks = [int(field) for field in fields[:8]]
            spent += sum(ticks) - ticks[3] - ticks[4]
    return spent / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def interruptible(command: Callable[[], int]) -> int:
    """Run a command that Ctrl-C, and SIGTERM as `timeout` sends it, end like an exception.

    So it ends what it started.

    Returns:
        Its exit code: 128 and the signal's number where a signal ended it.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return command()
    except KeyboardInterrupt:
        print("Interrupted: what was started has been ended.", file=sys.stderr)
        return 128 + signal.SIGINT


@contextmanager
def pinned(core: int) -> Generator[None]:
    """What is started in the block runs on this core alone, with all its threads and children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    core: int,
    ready: str,
    directory: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Generator[Process]:
    """A process, from its first answer to the end of the block.

    Args:
        command: What to run.
        port: Where it will listen.
        core: The core for it alone.
        ready: The path that answers 200 once it is ready.
        directory: Where it runs.
        log: Takes what it prints.
        environment: All of its variables; this process's where left out.

    Raises:
        NotStarted: With the end of its log.
    """
    with log.open("wb") as printed:
        with pinned(core):
            process = subprocess.Popen(
                command,
                cwd=directory,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env={**(os.environ if environment is None else environment), **_NO_PROXY},
                process_group=0,  # so that its children can be ended with it
            )
        try:
            _wait(process, f"http://127.0.0.1:{port}{ready}", log)
            yield Process(process.pid, port, core)
        finally:
            try:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_END_SECONDS)
            finally:  # also at a second Ctrl-C, which waits no longer
                with suppress(ProcessLookupError):  # all have ended
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    said = "nothing answered"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = f"it ended with {process.returncode}"
            break
        try:
            with opener.open(url, timeout=2):
                return
        except urllib.error.HTTPError as error:
            said = f"{url} answered {error.code}"
            error.close()
        except OSError as error:
            said = f"{url}: {error}"
        time.sleep(0.01)
    tail = log.read_text(errors="replace")[-2000:]
    raise NotStarted(f"{process.args!r} did not start: {said}. It printed:\n{tail}")
