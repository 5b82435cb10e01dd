"""The address of a master: HOST[:PORT], read and resolved."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from loadtest.errors import UsageError

# Locust's own.
DEFAULT_PORT = 5557
LOOPBACK = "127.0.0.1"
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.%a-z]+)\](?::(\d{1,5}))?")
_PLAIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """A resolved address.

    Attributes:
        host: an IPv4 or IPv6 address.
        port: 1 to 65535.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Return True if only this machine reaches the address."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, option: str) -> Address:
    """Return the address of a text such as `10.0.0.5`, `loadhost:5557` or `[fd00::5]:5557`.

    Args:
        text: HOST[:PORT]; an IPv6 address stands in brackets.
        option: the option's name, for messages.

    Raises:
        UsageError: the text has another form, the port is out of range, or nobody knows the host.
    """
    match = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    port = DEFAULT_PORT if match is None or match[2] is None else int(match[2])
    if match is None or not 1 <= port <= 65_535:
        raise UsageError(
            f"{option} is '{text[:100]}'; it must be HOST or HOST:PORT with a port from 1 to "
            f"65535, such as 10.0.0.5:{DEFAULT_PORT}; an IPv6 address stands in brackets"
        )
    try:
        found = socket.getaddrinfo(match[1], port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"{option} is '{text[:100]}': the host '{match[1]}' cannot be resolved ({error}); give "
            "its IP address, or a name that this machine knows"
        ) from None
    # IPv4 first: a name such as localhost has both, and a master listens on one of them.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return Address(str(found[0][4][0]), port)
