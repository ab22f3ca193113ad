"""What the gateway relies on in a store. One suite over every kind; then what only a file can show."""

import asyncio
import math
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendify.gateway.store import MemoryStore, SqliteStore, Store, StoreError, open_store
from opendify.gateway.store.sqlite import MIGRATIONS, ROWS


class Clock:
    """A time that only the test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def memory(path: Path, clock: Callable[[], float]) -> Store:
    return MemoryStore(clock=clock)


def sqlite(path: Path, clock: Callable[[], float]) -> Store:
    return SqliteStore(path, clock=clock)


@pytest.fixture(params=[memory, sqlite])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    opened: Store = request.param(tmp_path / "store.sqlite3", clock)
    yield opened
    await opened.aclose()


@asynccontextmanager
async def at(path: Path, clock: Callable[[], float] | None = None) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path, clock=clock) if clock else SqliteStore(path)
    try:
        yield opened
    finally:
        await opened.aclose()


# Every store


async def test_what_is_put_is_got(store: Store) -> None:
    await store.put({"key": "value"}, ttl=10)
    assert await store.get("key") == "value"
    assert await store.get("key") == "value"


async def test_what_was_never_put_is_none(store: Store) -> None:
    assert await store.get("key") is None
    assert await store.take("key") is None


async def test_a_later_put_replaces_value_and_time(store: Store, clock: Clock) -> None:
    await store.put({"key": "old"}, ttl=10)
    await store.put({"key": "new"}, ttl=100)
    clock.now += 50
    assert await store.get("key") == "new"


async def test_an_entry_is_gone_the_moment_its_time_is_over(store: Store, clock: Clock) -> None:
    await store.put({"key": "value"}, ttl=10)
    clock.now += 9.5
    assert await store.get("key") == "value"
    clock.now += 0.5
    assert await store.get("key") is None
    assert await store.take("key") is None


async def test_an_entry_without_an_end_stays(store: Store, clock: Clock) -> None:
    await store.put({"key": "value"}, ttl=math.inf)
    clock.now += 1e9
    assert await store.get("key") == "value"
    assert await store.add("key", "other", ttl=1) is False


async def test_add_keeps_what_is_there(store: Store) -> None:
    assert await store.add("key", "first", ttl=10) is True
    assert await store.add("key", "second", ttl=10) is False
    assert await store.get("key") == "first"


async def test_a_claim_can_be_taken_again_once_it_has_expired(store: Store, clock: Clock) -> None:
    assert await store.add("claim", "mine", ttl=10)
    clock.now += 10
    assert await store.add("claim", "yours", ttl=10)
    assert await store.get("claim") == "yours"


async def test_a_claim_can_be_taken_again_once_it_is_deleted(store: Store) -> None:
    assert await store.add("claim", "mine", ttl=10)
    await store.delete("claim")
    assert await store.add("claim", "yours", ttl=10)


async def test_take_gives_the_value_once(store: Store) -> None:
    await store.put({"key": "value"}, ttl=10)
    assert await store.take("key") == "value"
    assert await store.take("key") is None
    assert await store.get("key") is None


async def test_deleting_what_is_not_there_is_no_error(store: Store) -> None:
    await store.delete("key")
    await store.put({"key": "value"}, ttl=10)
    await store.delete("key")
    assert await store.get("key") is None


@pytest.mark.parametrize(
    "text", ["", " ", "你好 👩‍👩‍👧", "a\0b", "\ud800", "'; DROP TABLE entries; --", "x" * 1_000_000]
)
async def test_any_text_is_a_key_and_a_value(store: Store, text: str) -> None:
    await store.put({text: text}, ttl=10)
    await store.put({text + "!": "other"}, ttl=10)
    assert await store.get(text) == text
    assert await store.take(text) == text


async def test_several_entries_are_put_at_once_each_under_its_key(store: Store) -> None:
    await store.put({"one": "1"}, ttl=10)
    await store.put({"one": "new", "two": "2", "three": "3"}, ttl=10)
    assert [await store.get(key) for key in ("one", "two", "three")] == ["new", "2", "3"]


async def test_of_all_who_add_or_take_at_once_one_wins(store: Store) -> None:
    added = await asyncio.gather(*(store.add("key", str(n), ttl=10) for n in range(50)))
    assert added.count(True) == 1
    taken = await asyncio.gather(*(store.take("key") for _ in range(50)))
    assert [value for value in taken if value is not None] == [str(added.index(True))]


async def test_many_at_once_all_get_their_own(store: Store) -> None:
    await asyncio.gather(*(store.put({f"key {n}": f"value {n}"}, ttl=10) for n in range(1000)))
    values = await asyncio.gather(*(store.get(f"key {n}") for n in range(1000)))
    assert values == [f"value {n}" for n in range(1000)]


async def test_a_cancelled_put_is_kept_all_the_same(store: Store) -> None:
    await cancelled(store.put({"key": "value"}, ttl=10))
    assert await store.get("key") == "value"


async def test_a_cancelled_delete_deletes_all_the_same(store: Store) -> None:
    await store.put({"key": "value"}, ttl=10)
    await cancelled(store.delete("key"))
    assert await store.get("key") is None


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_claim_is_not_left_behind(store: Store, turns: int) -> None:
    if await cancelled(store.add("claim", "mine", ttl=10), turns):
        assert await store.add("claim", "yours", ttl=10) is True


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_take_loses_nothing(store: Store, turns: int, clock: Clock) -> None:
    await store.put({"key": "value"}, ttl=10)
    if await cancelled(store.take("key"), turns):
        assert await store.get("key") == "value"
        clock.now += 10  # given back for the time it had, no longer
        assert await store.get("key") is None


async def test_a_cancelled_claim_does_not_undo_what_came_after_it(store: Store) -> None:
    taking = asyncio.ensure_future(store.add("claim", "mine", ttl=10))
    await asyncio.sleep(0)
    putting = asyncio.ensure_future(store.put({"claim": "yours"}, ttl=10))
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    await putting
    assert await store.get("claim") == "yours"


async def test_closing_carries_out_what_was_asked_for(store: Store) -> None:
    last = [asyncio.ensure_future(store.put({f"key {n}": "value"}, ttl=10)) for n in range(10)]
    await asyncio.sleep(0)
    await store.aclose()
    await asyncio.gather(*last)


async def test_a_claim_that_is_cancelled_while_its_store_closes_ends_with_its_time(
    store: Store, tmp_path: Path, clock: Clock
) -> None:
    claiming = asyncio.ensure_future(store.add("claim", "mine", ttl=10))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.aclose())
    await asyncio.sleep(0)
    claiming.cancel()
    await closing
    async with at(tmp_path / "store.sqlite3", clock) as again:
        clock.now += 10
        assert await again.add("claim", "yours", ttl=10)


async def test_a_store_may_be_closed_twice_or_unused(store: Store) -> None:
    await store.aclose()
    await asyncio.gather(store.aclose(), store.aclose())


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.put({"key": "value"}, ttl=10)
    await store.aclose()
    for refused in (
        store.get("key"),
        store.put({"key": "value"}, ttl=1),
        store.add("key", "value", ttl=1),
        store.take("key"),
        store.delete("key"),
    ):
        with pytest.raises(StoreError, match="closed"):
            await refused


async def cancelled(operation: "asyncio._CoroutineLike[object]", turns: int = 1) -> bool:
    """Start an operation, let the loop turn some times, cancel it: False if it was done before that."""
    task = asyncio.ensure_future(operation)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


# Opening


async def test_a_url_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for url, file in (
        ("sqlite:///here.sqlite3", tmp_path / "here.sqlite3"),
        (f"sqlite:///{tmp_path}/there.sqlite3", tmp_path / "there.sqlite3"),
        ("sqlite:///~/home.sqlite3", tmp_path / "home" / "home.sqlite3"),
        ("memory:", None),
        ("memory://", None),
    ):
        opened = open_store(url)
        await opened.put({"key": "value"}, ttl=10)
        assert await opened.get("key") == "value"
        await opened.aclose()
        assert file is None or file.exists()


@pytest.mark.parametrize(
    "url",
    ["", "store.sqlite3", "redis://user:hunter2@host/0", "sqlite:", "sqlite:///", "sqlite:file", "memory:x"],
)
def test_a_url_that_names_no_store_is_an_error_that_tells_what_to_write(url: str) -> None:
    with pytest.raises(StoreError, match=r"sqlite:///FILE|memory:") as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "store.sqlite3"
    with pytest.raises(StoreError, match="No such file or directory") as refused:
        open_store(f"sqlite:///{missing}")
    assert str(missing) in str(refused.value)
    assert "STORE_URL" in str(refused.value)
    with pytest.raises(StoreError, match="Is a directory"):
        open_store(f"sqlite:///{tmp_path}")


def test_a_file_where_processes_cannot_share_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The VFS without shared memory stands for a network file system: SQLite then keeps its old journal.
    connect = sqlite3.connect

    def without_shared_memory(path: Path, **options: Any) -> sqlite3.Connection:
        return connect(f"file:{path}?vfs=unix-dotfile", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", without_shared_memory)
    with pytest.raises(StoreError, match="local disk"):
        open_store(f"sqlite:///{tmp_path}/store.sqlite3")


async def test_a_new_file_that_another_is_preparing_is_opened_when_that_is_done(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE anything (key)")
        done = Timer(0.05, other.rollback)
        done.start()
        async with at(path) as store:
            await store.put({"key": "value"}, ttl=10)
        done.join()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ada,\n" * 100)
    with pytest.raises(StoreError, match="no SQLite file"):
        open_store(f"sqlite:///{letter}")
    assert letter.read_text() == "Dear Ada,\n" * 100


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match="newer"):
        open_store(f"sqlite:///{path}")


# A file


async def test_entries_outlive_the_store_that_kept_them(tmp_path: Path) -> None:
    async with at(tmp_path / "store.sqlite3") as first:
        await first.put({"key": "value"}, ttl=100)
    async with at(tmp_path / "store.sqlite3") as second:
        assert await second.get("key") == "value"


async def test_two_stores_on_one_file_are_one(tmp_path: Path) -> None:
    async with at(tmp_path / "store.sqlite3") as here, at(tmp_path / "store.sqlite3") as there:
        await here.put({"key": "value"}, ttl=100)
        assert await there.take("key") == "value"
        assert await here.get("key") is None


async def test_others_on_the_machine_cannot_read_the_file(tmp_path: Path) -> None:
    async with at(tmp_path / "store.sqlite3") as store:
        await store.put({"key": "value"}, ttl=100)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in os.scandir(tmp_path)}
    assert modes == dict.fromkeys(("store.sqlite3", "store.sqlite3-shm", "store.sqlite3-wal"), 0o600)


async def test_keys_are_not_in_the_file(tmp_path: Path) -> None:
    async with at(tmp_path / "store.sqlite3") as store:
        await store.put({"somebody's name": "value"}, ttl=100)
    assert b"somebody" not in (tmp_path / "store.sqlite3").read_bytes()


async def test_expired_entries_leave_the_memory_in_the_course_of_work(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    for n in range(20_000):
        await store.put({f"key {n}": "value"}, ttl=10)
        clock.now += 0.1
    assert len(store._entries) <= 1024  # 100 are live at a time
    await store.aclose()


async def test_expired_entries_leave_the_file_in_the_course_of_work(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "store.sqlite3"
    async with at(path, clock) as store:
        for n in range(3000):
            await store.put({f"old {n}": "value"}, ttl=10 if n % 3 else 1000)
        clock.now += 100
        for n in range(1500):
            await store.put({f"new {n}": "value"}, ttl=1000)
        with closing(sqlite3.connect(path)) as db:
            (rows,) = db.execute("SELECT count(*) FROM entries").fetchone()
        assert rows == 2500
        assert await store.get("old 0") == "value"


async def test_a_file_in_constant_use_stays_small(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "store.sqlite3"
    rows: list[int] = []
    async with at(path, clock) as store:
        for _ in range(40):
            await asyncio.gather(*(store.put({f"{clock.now} {n}": "value"}, ttl=10) for n in range(200)))
            clock.now += 10
            with closing(sqlite3.connect(path)) as db:
                rows += db.execute("SELECT count(*) FROM entries").fetchone()
    assert max(rows) <= 600  # 8000 were written, 200 are live at a time


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "take", "add", "delete", "get"]), st.sampled_from("abc")),
        max_size=30,
    )
)
@settings(max_examples=50, deadline=None)
async def test_what_is_asked_for_at_once_happens_to_each_key_in_the_order_of_asking(
    asked: list[tuple[str, str]],
) -> None:
    with TemporaryDirectory() as directory:
        async with at(Path(directory) / "store.sqlite3") as store:
            plain = MemoryStore()
            got = [
                await asyncio.gather(*[do(kept, what, key, str(n)) for n, (what, key) in enumerate(asked)])
                for kept in (plain, store)
            ]
            assert got[0] == got[1]
            for key in "abc":
                assert await store.get(key) == await plain.get(key)
            await plain.aclose()


def do(store: Store, what: str, key: str, value: str) -> "asyncio._CoroutineLike[object]":
    match what:
        case "put":
            return store.put({key: value}, ttl=10)
        case "add":
            return store.add(key, value, ttl=10)
        case "take":
            return store.take(key)
        case "delete":
            return store.delete(key)
        case _:
            return store.get(key)


async def test_more_than_one_statement_takes_are_put_at_once(tmp_path: Path) -> None:
    entries = {f"key {n}": f"value {n}" for n in range(2 * ROWS + 3)}
    async with at(tmp_path / "store.sqlite3") as store:
        await store.put(entries, ttl=10)
        values = await asyncio.gather(*(store.get(key) for key in entries))
        assert values == list(entries.values())


async def test_what_queues_up_shares_a_transaction(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    async with at(path) as store:
        await store.put({"first": "value"}, ttl=10)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            seen: list[int] = []
            before = other.execute("PRAGMA data_version").fetchone()[0]
            tasks = [asyncio.ensure_future(store.put({f"key {n}": "value"}, ttl=10)) for n in range(200)]
            while not all(task.done() for task in tasks):
                (rows,) = other.execute("SELECT count(*) FROM entries").fetchone()
                if not seen or seen[-1] != rows:
                    seen.append(rows)
                await asyncio.sleep(0)
            assert other.execute("PRAGMA data_version").fetchone()[0] != before
            assert set(seen) <= {1, 201}


async def test_the_loop_runs_on_while_another_process_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    async with at(path) as store:
        await store.put({"key": "value"}, ttl=10)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(store.put({"key": "changed"}, ttl=10))
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert not waiting.done()
            other.execute("COMMIT")
        await waiting
        assert await store.get("key") == "changed"


async def test_a_file_that_stays_locked_is_an_error_for_everybody_who_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opendify.gateway.store.sqlite.BUSY_SECONDS", 0.05)
    path = tmp_path / "store.sqlite3"
    async with at(path) as store:
        await store.put({"key": "value"}, ttl=10)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            results = await asyncio.gather(
                *(store.put({f"key {n}": "value"}, ttl=10) for n in range(3)), return_exceptions=True
            )
            other.execute("ROLLBACK")
        assert [type(result) for result in results] == [StoreError] * 3
        assert "locked" in str(results[0])
        assert str(path) in str(results[0])
        await store.put({"key": "after"}, ttl=10)
        assert await store.get("key") == "after"


async def test_a_full_disk_keeps_nothing_by_halves(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    async with at(path) as store:
        store._entries._db.execute("PRAGMA max_page_count = 30")
        results = await asyncio.gather(
            *(store.put({f"key {n}": "x" * 4000}, ttl=10) for n in range(100)), return_exceptions=True
        )
        assert {type(result) for result in results} == {StoreError}
        assert "disk is full" in str(results[0])
        assert await asyncio.gather(*(store.get(f"key {n}") for n in range(100))) == [None] * 100
        await store.put({"small": "value"}, ttl=10)
        assert await store.get("small") == "value"


async def test_a_store_belongs_to_one_event_loop(tmp_path: Path) -> None:
    async with at(tmp_path / "store.sqlite3") as store:
        await store.put({"key": "value"}, ttl=10)

        def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="event loop"):
                asyncio.run(store.get("key"))

        await asyncio.to_thread(elsewhere)


def test_a_store_belongs_to_one_event_loop_even_if_that_is_only_at_rest(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3")
    with closing(asyncio.new_event_loop()) as first, closing(asyncio.new_event_loop()) as second:
        first.run_until_complete(store.put({"key": "value"}, ttl=10))
        try:
            with pytest.raises(RuntimeError, match="a store belongs to the event loop that used it first"):
                second.run_until_complete(store.get("key"))
        finally:
            first.run_until_complete(store.aclose())


# Several processes

WORKER = """
import asyncio, sys
from opendify.gateway.store import open_store

async def main(url, name):
    store = open_store(url)
    try:
        print("open", flush=True)
        sys.stdin.readline()
        won = [n for n in range(200) if await store.add(f"claim {n}", name, ttl=60)]
        took = [value for n in range(200) if (value := await store.take(f"turn {n}")) is not None]
        await asyncio.gather(*(store.put({f"{name} {n}": "kept"}, ttl=60) for n in range(200)))
        print(",".join(map(str, won)), ",".join(took), sep=";", flush=True)
    finally:
        await store.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Four processes that open one file at the same moment, and wait for a line to start."""
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url, f"worker {n}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for n in range(4)
    ]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


async def test_among_processes_every_claim_has_one_winner_and_nothing_is_lost(
    tmp_path: Path, workers: list[subprocess.Popen[str]]
) -> None:
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "open\n"
    async with at(tmp_path / "store.sqlite3") as store:
        await asyncio.gather(*(store.put({f"turn {n}": str(n)}, ttl=60) for n in range(200)))
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        said = [await asyncio.to_thread(worker.communicate) for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * 4
        won, took = zip(*(out.strip().split(";") for out, _ in said), strict=True)
        everything = sorted(range(200))
        assert sorted(int(n) for names in won for n in names.split(",") if n) == everything
        assert sorted(int(n) for names in took for n in names.split(",") if n) == everything
        for n, names in enumerate(won):
            for claim in names.split(","):
                assert not claim or await store.get(f"claim {claim}") == f"worker {n}"
        kept = await asyncio.gather(*(store.get(f"worker {w} {n}") for w in range(4) for n in range(200)))
        assert kept == ["kept"] * 800


async def test_what_was_put_survives_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    script = (
        "import asyncio, sys\n"
        "from opendify.gateway.store import open_store\n"
        "async def main():\n"
        "    store = open_store(sys.argv[1])\n"
        "    await store.put({'key': 'value'}, ttl=60)\n"
        "    print('kept', flush=True)\n"
        "    sys.stdin.readline()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, f"sqlite:///{path}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        process.kill()
    async with at(path) as store:
        assert await store.get("key") == "value"
