"""Kinds of files, told by their bytes and named as Dify wants them."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendify._media import HEAD_BYTES, extension_of, file_type, sniff

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("head", "name", "mime_type", "extension"),
    [
        (b"\x89PNG\r\n\x1a\n", "", "image/png", "png"),
        (b"\x89PNG\r\n\x1a\n", "photo.jpg", "image/png", "png"),
        (b"\xff\xd8\xff\xe0", "photo.jpeg", "image/jpeg", "jpeg"),
        (b"\xff\xd8\xff\xe0", "photo", "image/jpeg", "jpg"),
        (b"GIF89a", "", "image/gif", "gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "", "image/webp", "webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a.wav", "audio/wav", "wav"),
        (b"ID3\x04", "a.mp3", "audio/mp3", "mp3"),
        (b"ID3\x04", "a.mpga", "audio/mpga", "mpga"),
        (b"\xff\xfb\x90\x00", "", "audio/mp3", "mp3"),
        (b"#!AMR\n", "", "audio/amr", "amr"),
        (b"\x00\x00\x00\x20ftypM4A \x00", "", "audio/m4a", "m4a"),
        (b"\x00\x00\x00\x20ftypisom\x00", "", "video/mp4", "mp4"),
        (b"\x00\x00\x00\x14ftypqt  \x00", "", "video/quicktime", "mov"),
        (b"\x1aE\xdf\xa3", "", "video/webm", "webm"),
        (b"%PDF-1.7", "", "application/pdf", "pdf"),
        (
            zipped(),
            "a.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "docx",
        ),
        (zipped(), "a.zip", "application/zip", "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.xls", "application/vnd.ms-excel", "xls"),
        (b"<svg xmlns='x'>", "", "image/svg+xml", "svg"),
        (b"<?xml version='1.0'?>\n<svg>", "a.xml", "image/svg+xml", "svg"),
        (b"<?xml version='1.0'?><a/>", "", "application/xml", "xml"),
        (b"\n<!DOCTYPE html><p>", "", "text/html", "html"),
        (b"# Title", "a.md", "text/markdown", "md"),
        (b"a,b", "A.CSV", "text/csv", "csv"),
        (b"hello", "", "text/plain", "txt"),
        (b"print()", "a.py", "text/plain", "py"),
        (b"hello", "fake.png", "text/plain", "txt"),
        ("é".encode() * 3000, "", "text/plain", "txt"),
        (b"\x00\x01\x02", "a.bin", "application/octet-stream", "bin"),
        (b"\x00\x01\x02", "fake.png", "application/octet-stream", ""),
        (b"", "", "text/plain", "txt"),
    ],
)
def test_content_decides_and_the_name_helps(head: bytes, name: str, mime_type: str, extension: str) -> None:
    assert sniff(head[:HEAD_BYTES], name) == (mime_type, extension)


def test_no_audio_goes_out_under_a_name_that_dify_refuses() -> None:
    refused = {"audio/mpeg", "audio/x-wav", "audio/mp4"}  # Dify 1.12.1: 415 at /audio-to-text
    for name in ("a.mp3", "a.mpga", "a.wav", "a.m4a", "a.amr"):
        for head in (b"ID3", b"RIFF....WAVE", b"....ftypM4A ", b"#!AMR"):
            assert sniff(head, name).mime_type not in refused


@given(st.binary(max_size=64), st.text(max_size=20))
def test_any_bytes_under_any_name_have_a_kind(head: bytes, name: str) -> None:
    media = sniff(head, name)
    assert "/" in media.mime_type
    assert file_type(media.extension) in ("image", "document", "audio", "video", "custom")


def test_a_character_cut_at_the_end_of_the_head_does_not_make_a_text_binary() -> None:
    text = "日本語".encode()
    assert sniff(text[:-1], "a.txt").mime_type == "text/plain"
    assert sniff(b"\xe6" + b"a" * 10, "a.txt").mime_type == "application/octet-stream"


def test_extensions_are_what_stands_behind_the_last_dot_of_a_name_that_has_more() -> None:
    assert [extension_of(n) for n in ("a.tar.GZ", "a", ".env", "a.", "dir.d/a")] == ["gz", "", "", "", ""]


def test_difys_kinds_of_files() -> None:
    assert [file_type(e) for e in (".PNG", "mp3", "mov", "pdf", "exe", "")] == [
        "image", "audio", "video", "document", "custom", "custom",
    ]  # fmt: skip
