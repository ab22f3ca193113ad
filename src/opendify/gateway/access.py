"""Who may come in, and who they are to Dify. Pure: no I/O, and no key in anything that is shown."""

import re
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import urlsplit

from opendify.gateway.settings import ClientConfig, is_loopback, model_name
from opendify.gateway.settings.values import digest

_PRIVATE = frozenset({"localhost", "local", "localdomain", "internal", "lan", "home", "corp", "test"})
"""Last parts of names that nobody can register in the public DNS."""

_LONGEST_USER = 64  # characters; Dify answers 500 to a `user` of 300


class Denied(Exception):
    """No valid client key came with a request; the text says what is wrong with it, and never what came."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request.

    Attributes:
        name: the key's name; stands in Dify's `user`, in the store and in the log, and has no colon.
        models: names or patterns of the models it may use; None: all.
        app_key: the key of the one Dify app it may use, where the client key is a Dify key.
    """

    name: str
    models: tuple[str, ...] | None = None
    app_key: str | None = field(default=None, repr=False)


ANONYMOUS = Client("anonymous")


class Access:
    """The client keys that open the gateway. With none configured it is open, and everybody is `ANONYMOUS`.

    >>> access = Access([ClientConfig("ada", "sk-1")])
    >>> access.authenticate(b"Bearer sk-1").name
    'ada'
    """

    def __init__(self, clients: Iterable[ClientConfig]) -> None:
        # A lookup by a digest, salted anew at every start, takes the same time whatever was sent: it tells
        # nobody how much of a key was right.
        self._salt = secrets.token_bytes(16)
        self._clients = {
            self._digest(config.key.encode()): Client(config.name, config.models, config.app_key)
            for config in clients
        }

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return not self._clients

    def authenticate(self, authorization: bytes | None) -> Client:
        """The client that an `Authorization` header belongs to.

        Raises:
            Denied: there is no such header, it is not `Bearer KEY`, or no client has that key.
        """
        if self.open:
            return ANONYMOUS
        if authorization is None:
            raise Denied("Missing Authorization header. Expected: Bearer <API_KEY>")
        scheme, _, key = authorization.strip().partition(b" ")
        key = key.strip()
        if scheme.lower() != b"bearer" or not key or b" " in key:
            raise Denied("Invalid Authorization header format. Expected: Bearer <API_KEY>")
        client = self._clients.get(self._digest(key))
        if client is None:
            raise Denied("Invalid API key. It is not one of the keys that this gateway knows.")
        return client

    def _digest(self, key: bytes) -> bytes:
        return blake2b(key, salt=self._salt, digest_size=16).digest()


def stranger(host: str, origin: str, content_type: str, allowed: Collection[str]) -> str | None:
    """Why a request to a gateway without keys does not come from this machine's own programs; None if it may.

    Such a gateway listens on this machine only, but a browser on it runs pages of anybody. A page gives
    itself away by its `Origin`; one whose own name leads to this machine by the `Host` that it asks for.
    Desktop applications have an `Origin`, too (`null`, `file://`), but send JSON, which no foreign page can
    without asking first.

    Args:
        host: the header `Host`.
        origin: the header `Origin`; empty if there is none.
        content_type: the header `Content-Type`.
        allowed: the origins of CORS_ORIGINS.

    >>> stranger("localhost:5000", "", "application/json", ()) is None
    True
    >>> stranger("localhost:5000", "https://evil.example", "text/plain", ())
    'a page of https://evil.example'
    """
    if _is_public(host):
        return f"the address {host}"
    if not origin or origin in allowed or "*" in allowed:
        return None
    if origin.startswith(("http://", "https://")):
        return None if _is_here(origin) else f"a page of {origin}"
    return None if content_type.startswith("application/json") else f"a page of {origin}"


def _is_public(host: str) -> bool:
    """Whether a `Host` is a name that anybody could own: of several parts, and not of a private network."""
    name = host.rpartition(":")[0] or host
    parts = name.lower().rstrip(".").split(".")
    return len(parts) > 1 and not parts[-1].isdecimal() and parts[-1] not in _PRIVATE and "[" not in name


def _is_here(address: str) -> bool:
    try:
        name = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name.endswith(".localhost")


def identity(client: Client, user: str | None) -> str:
    """Dify's `user` for a user of a client: `<key name>:<user>`, with `default` for nobody in particular.

    Dify gives whoever sends a `user` all that this user has. So no two clients share an identity, whatever
    they send, nor do two users of one client. A user of more than 64 characters, or with some that do not
    print, becomes `~` and a digest, which no plain user can be: one that begins with `~` is not plain either.

    >>> identity(Client("ada"), "u-1"), identity(Client("ada"), None)
    ('ada:u-1', 'ada:default')
    >>> identity(Client("ada"), "x" * 300) == identity(Client("ada"), "x" * 299)
    False
    """
    user = user or "default"
    plain = len(user) <= _LONGEST_USER and user.isprintable() and user[0] not in " ~" and user[-1] != " "
    return f"{client.name}:{user if plain else '~' + digest(user)}"


def allows(models: tuple[str, ...] | None, names: Iterable[str]) -> bool:
    """Whether a client with these model patterns may use a model that has these names.

    >>> allows(("gpt-*",), ["gpt-4o"]), allows(("support",), ["Support"]), allows(None, ["any"])
    (True, False, True)
    """
    return models is None or any(matcher(pattern)(name) for pattern in models for name in names)


@lru_cache(maxsize=1024)
def matcher(pattern: str) -> Callable[[str], bool]:
    """A test for names like `pattern`, in which `*` stands for any characters, or none; all else is itself.

    >>> matcher("gpt-*")("gpt-4o"), matcher("gpt-*")("my gpt-4o"), matcher("a.b")("a-b")
    (True, False, False)
    """
    parts = (re.escape(part) for part in model_name(pattern).split("*"))
    compiled = re.compile(".*".join(parts), re.DOTALL)
    return lambda name: compiled.fullmatch(name) is not None
