"""LocalStack's variables that `localcloud start` reads, and a sentence for those without an effect.

An option of the command comes before a variable. LOCALCLOUD_CONTAINER and LOCALCLOUD_HOSTS are our
own: the image of the local cloud sets them, because a container has an interface of its own.

Source: https://docs.localstack.cloud/aws/capabilities/config/configuration/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.cli.console import CommandError

LOOPBACK, _EVERY_INTERFACE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - in a container only
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TRUE, _FALSE = frozenset({"1", "true"}), frozenset({"0", "false", ""})
_WITHOUT_EFFECT = {
    "SERVICES": "every service is there; what is not implemented answers 501",
    "EAGER_SERVICE_LOADING": "every service is there from the start",
    "LAMBDA_EXECUTOR": "functions run as processes under AWS's own runtime client",
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults of `start` that variables give.

    Attributes:
        port: the one in GATEWAY_LISTEN; None without it.
        ephemeral: whether PERSISTENCE=0 was set.
        debug: whether DEBUG=1 was set.
        host: the address to listen on: 127.0.0.1, or in a container the one in GATEWAY_LISTEN.
        names: the host names by which other containers reach it.
        notes: a sentence for each variable that has no effect, or another one than in LocalStack.
    """

    port: int | None
    ephemeral: bool
    debug: bool
    notes: tuple[str, ...]
    host: str = LOOPBACK
    names: frozenset[str] = frozenset()


def defaults_of(environment: Mapping[str, str]) -> Defaults:
    """Return the defaults that an environment gives.

    Raises:
        CommandError: GATEWAY_LISTEN, PERSISTENCE, LOCALCLOUD_CONTAINER or LOCALCLOUD_HOSTS has a
            value that cannot be read.
    """
    notes = [
        f"{name} has no effect: {reason}"
        for name, reason in _WITHOUT_EFFECT.items()
        if name in environment
    ]
    port, address = None, LOOPBACK
    contained = _switch(environment, "LOCALCLOUD_CONTAINER") or False
    listen = environment.get("GATEWAY_LISTEN", "")
    if listen:
        # The first of several addresses, as HOST:PORT or :PORT.
        host, _, text = listen.split(",")[0].strip().rpartition(":")
        if not text.isdecimal() or not 0 < int(text) < 65_536:
            raise CommandError(
                f"GATEWAY_LISTEN is '{listen}'; it must be HOST:PORT, such as 127.0.0.1:4566"
            )
        port = int(text)
        if contained and host == _EVERY_INTERFACE:
            address = host
        elif host not in {"", LOOPBACK, "localhost"}:
            notes.append(f"GATEWAY_LISTEN names {host}; the local cloud listens on 127.0.0.1 only")
    return Defaults(
        port,
        _switch(environment, "PERSISTENCE") is False,
        environment.get("DEBUG", "").lower() in _TRUE,
        tuple(notes),
        address,
        _names(environment.get("LOCALCLOUD_HOSTS", "")) if contained else frozenset(),
    )


def _switch(environment: Mapping[str, str], name: str) -> bool | None:
    """Return whether a variable switches something on or off; None if it is not set."""
    value = environment.get(name)
    if value is None:
        return None
    if value.lower() not in _TRUE | _FALSE:
        raise CommandError(f"{name} is '{value}'; it must be 0 or 1")
    return value.lower() in _TRUE


def _names(text: str) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        # A name with a point may be one of the Internet, which its owner may let lead here.
        if not _NAME.fullmatch(name):
            raise CommandError(
                f"LOCALCLOUD_HOSTS has '{name}'; it must have names of services, such as "
                "localcloud, without points, separated by commas"
            )
    return names
