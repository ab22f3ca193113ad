"""Every call goes out as dify-oapi2 1.1.2 sends it: what that sent, sent.py has written down."""

from pathlib import Path

from . import sent

RECORDED = Path(__file__).parent / "dify_oapi2_sent.txt"
# Two that Dify refuses as dify-oapi2 sends them.
BETTER = {
    "knowledge.chunk.create": (
        '{"chunks": [{"content": "text", "keywords": ["text"]}]}',
        '{"content": "text"}',
    ),
    "workflow.workflow.run": (
        '"inputs": {"inputs": {"key": "value", "text": "text"}}',
        '"inputs": {"key": "value", "text": "text"}',
    ),
}


def test_every_call_is_sent_as_it_was() -> None:
    expected = dict(line.split(" ", 1) for line in RECORDED.read_text("utf-8").splitlines())
    for name, (was, is_now) in BETTER.items():
        assert was in expected[name]
        expected[name] = expected[name].replace(was, is_now)
    assert len(expected) == 120
    assert dict(line.split(" ", 1) for line in sent.sent()) == expected
