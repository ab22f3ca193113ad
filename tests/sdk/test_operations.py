"""The table of operations is whole: nothing that Dify specifies is missing, and every method stands in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from opendify._operations import GROUPS, OPERATIONS

SPECIFIED = Path(__file__).parent.parent / "dify-1.16.txt"


def specified() -> Iterator[tuple[str, str, str]]:
    """Group, method and path of every operation that Dify 1.16 specifies."""
    group = ""
    for line in SPECIFIED.read_text("utf-8").splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif line and not line.startswith("#"):
            method, path = line.split()
            yield group, method, path


def test_every_operation_that_dify_specifies_stands_in_the_table_and_get_root_besides() -> None:
    listed = [(group, row.method, row.path) for group, rows in GROUPS.items() for row in rows]
    assert listed == [*specified(), ("Server", "GET", "/")]
    assert len(listed) == 83


def test_each_kind_of_app_has_as_many_operations_as_in_difys_own_reference() -> None:
    assert Counter(mode for row in OPERATIONS for mode in row.modes) == {
        "chat": 26,
        "agent-chat": 26,
        "advanced-chat": 31,
        "agent": 15,
        "completion": 13,
        "workflow": 16,
    }
    assert sum(not row.modes for row in OPERATIONS) == 46 + 1  # those with a dataset key, and GET /
