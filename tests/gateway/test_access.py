"""Who comes in, with which key, and who they are to Dify."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from opendify.gateway.access import ANONYMOUS, Access, Client, Denied, allows, identity, stranger
from opendify.gateway.settings import ClientConfig, Settings, key_name

ADA = ClientConfig("ada", "sk-ada", ("support",))
BOB = ClientConfig("bob", "app-bob", app_key="app-bob")
ACCESS = Access([ADA, BOB])

anything = st.text(st.characters())  # lone surrogates, NUL and line ends among it
key = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'"), min_size=1)


def client_of(secret: str) -> Client:
    """The client that a gateway makes of a key without a name."""
    [config] = Settings(valid_api_keys=(secret,)).clients
    return Access([config]).authenticate(f"Bearer {secret}".encode())


@pytest.mark.parametrize(
    "header", [b"Bearer sk-ada", b"bearer sk-ada", b"BEARER   sk-ada ", b" Bearer sk-ada"]
)
def test_a_configured_key_opens(header: bytes) -> None:
    assert ACCESS.authenticate(header) == Client("ada", ("support",))


def test_a_dify_key_as_client_key_opens_its_own_app() -> None:
    assert ACCESS.authenticate(b"Bearer app-bob").app_key == "app-bob"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "Missing Authorization header. Expected: Bearer <API_KEY>"),
        (b"", "Invalid Authorization header format. Expected: Bearer <API_KEY>"),
        (b"Bearer", "Invalid Authorization header format. Expected: Bearer <API_KEY>"),
        (b"Bearer ", "Invalid Authorization header format. Expected: Bearer <API_KEY>"),
        (b"sk-ada", "Invalid Authorization header format. Expected: Bearer <API_KEY>"),
        (b"Basic sk-ada", "Invalid Authorization header format. Expected: Bearer <API_KEY>"),
        (b"Bearer sk-ada sk-ada", "Invalid Authorization header format. Expected: Bearer <API_KEY>"),
        (b"Bearer sk-adA", "Invalid API key. It is not one of the keys that this gateway knows."),
        (b"Bearer sk-ad", "Invalid API key. It is not one of the keys that this gateway knows."),
        (b"Bearer \xff\x00", "Invalid API key. It is not one of the keys that this gateway knows."),
    ],
)
def test_all_else_is_told_what_is_missing(header: bytes | None, message: str) -> None:
    with pytest.raises(Denied) as caught:
        ACCESS.authenticate(header)
    assert str(caught.value) == message


@given(st.binary(min_size=10, max_size=200))
def test_nothing_but_a_configured_key_opens_and_no_denial_quotes_what_was_sent(sent: bytes) -> None:
    assume(sent.strip() not in (b"sk-ada", b"app-bob"))
    with pytest.raises(Denied) as caught:
        ACCESS.authenticate(b"Bearer " + sent)
    assert sent.decode("latin-1") not in str(caught.value)


@pytest.mark.parametrize("header", [None, b"", b"Bearer any", b"nonsense"])
def test_without_configured_keys_everybody_is_one_anonymous_client(header: bytes | None) -> None:
    access = Access([])
    assert access.open
    assert access.authenticate(header) is ANONYMOUS


def test_no_key_is_in_a_repr() -> None:
    assert "app-bob" not in repr((BOB, ACCESS.authenticate(b"Bearer app-bob"), ACCESS))
    assert "sk-ada" not in repr((ADA, ACCESS.authenticate(b"Bearer sk-ada"), key_name("sk-ada")))


@pytest.mark.parametrize(
    ("user", "seen_by_dify"),
    [
        ("u-1", "ada:u-1"),
        (None, "ada:default"),
        ("", "ada:default"),
        ("ada@example.com", "ada:ada@example.com"),
        ("李雷 1", "ada:李雷 1"),
        ("bob:u-1", "ada:bob:u-1"),
        ("x" * 64, "ada:" + "x" * 64),
    ],
)
def test_a_plain_user_stays_readable(user: str | None, seen_by_dify: str) -> None:
    assert identity(Client("ada"), user) == seen_by_dify


@pytest.mark.parametrize(
    "user",
    [
        "x" * 65,
        "x" * 300,
        "a\0b",
        "a\nb",
        " a",
        "a ",
        " ",
        "a\u200bb",
        "\ud800",
        "\u202eabc",
        "~a",
        "🏴\U000e0067",
    ],
)
def test_a_long_or_odd_user_becomes_a_digest(user: str) -> None:
    seen_by_dify = identity(Client("ada"), user)
    assert seen_by_dify.startswith("ada:~")
    assert len(seen_by_dify) == len("ada:~") + 32
    assert seen_by_dify.isascii()
    assert seen_by_dify == identity(Client("ada"), user)


@given(anything)
def test_dify_can_take_every_identity(user: str) -> None:
    seen_by_dify = identity(client_of("sk-1"), user)
    assert len(seen_by_dify) <= 100
    assert seen_by_dify.isprintable()
    assert seen_by_dify.encode()


@given(key, key, anything, anything)
def test_two_client_keys_never_share_an_identity_whatever_user_they_send(
    one: str, other: str, user: str, another: str
) -> None:
    assume(one != other)
    assert identity(client_of(one), user) != identity(client_of(other), another)


@given(anything, anything)
def test_two_users_of_one_key_never_share_an_identity(user: str, another: str) -> None:
    assume((user or "default") != (another or "default"))
    assert identity(Client("ada"), user) != identity(Client("ada"), another)


@given(anything)
def test_no_user_can_pass_for_the_digest_of_another(user: str) -> None:
    digested = identity(Client("ada"), user + "x" * 65).removeprefix("ada:")
    assert identity(Client("ada"), digested) != f"ada:{digested}"


def test_an_identity_is_the_same_at_every_start() -> None:
    assert identity(client_of("sk-abc123"), "u") == "key-58868e21d486:u"
    assert identity(Client("ada"), "x" * 65) == "ada:~8cb7ae8bf2d52da8e97c2d35a1ec1466"


@pytest.mark.parametrize(
    ("models", "names", "allowed"),
    [
        (None, ["anything"], True),
        (("support",), ["support"], True),
        (("support",), ["Support"], False),
        (("gpt-*",), ["support", "gpt-4o"], True),
        (("*",), ["李雷/a b"], True),
        (("a.c", "a+"), ["abc", "aa"], False),
        (("cafe\u0301",), ["caf\u00e9"], True),
        (("support",), [], False),
    ],
)
def test_a_key_may_use_the_models_that_it_was_given(
    models: tuple[str, ...] | None, names: list[str], allowed: bool
) -> None:
    assert allows(models, names) is allowed


@pytest.mark.parametrize(
    ("host", "origin", "content_type", "welcome"),
    [
        ("127.0.0.1:5000", "", "application/json", True),
        ("localhost", "", "text/plain", True),
        ("[::1]:5000", "", "", True),
        ("", "", "", True),
        ("localhost:5000", "http://localhost:3000", "text/plain", True),
        ("localhost:5000", "https://chat.example.com", "application/json", True),
        ("localhost:5000", "file://", "application/json", True),
        ("localhost:5000", "null", "application/json; charset=utf-8", True),
        ("localhost:5000", "null", "text/plain", False),
        ("localhost:5000", "https://evil.example", "text/plain", False),
        ("localhost:5000", "https://evil.example", "application/json", False),
        ("localhost:5000", "https://localhost.evil.example", "application/json", False),
        ("evil.example:5000", "", "application/json", False),
        ("evil.example:5000", "http://evil.example:5000", "application/json", False),
        ("gateway", "", "application/json", True),
        ("host.docker.internal:5000", "", "application/json", True),
        ("192.168.1.7:5000", "", "application/json", True),
        ("localhost:5000", "http://[::1", "application/json", False),
    ],
)
def test_a_gateway_without_keys_is_for_programs_on_its_machine_and_not_for_pages_of_others(
    host: str, origin: str, content_type: str, welcome: bool
) -> None:
    assert (stranger(host, origin, content_type, ("https://chat.example.com",)) is None) == welcome
