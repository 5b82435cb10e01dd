"""LocalStack's variables that `localcloud start` reads, and a sentence for those without an effect.

An option of the command comes before a variable.

Source: https://docs.localstack.cloud/aws/capabilities/config/configuration/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.cli.console import CommandError

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
        notes: a sentence for each variable that has no effect, or another one than in LocalStack.
    """

    port: int | None
    ephemeral: bool
    debug: bool
    notes: tuple[str, ...]


def defaults_of(environment: Mapping[str, str]) -> Defaults:
    """Return the defaults that an environment gives.

    Raises:
        CommandError: GATEWAY_LISTEN or PERSISTENCE has a value that cannot be read.
    """
    notes = [
        f"{name} has no effect: {reason}"
        for name, reason in _WITHOUT_EFFECT.items()
        if name in environment
    ]
    port = None
    listen = environment.get("GATEWAY_LISTEN", "")
    if listen:
        # The first of several addresses, as HOST:PORT or :PORT.
        host, _, text = listen.split(",")[0].strip().rpartition(":")
        if not text.isdecimal() or not 0 < int(text) < 65_536:
            raise CommandError(
                f"GATEWAY_LISTEN is '{listen}'; it must be HOST:PORT, such as 127.0.0.1:4566"
            )
        port = int(text)
        if host not in {"", "127.0.0.1", "localhost"}:
            notes.append(f"GATEWAY_LISTEN names {host}; the local cloud listens on 127.0.0.1 only")
    persistence = environment.get("PERSISTENCE")
    if persistence is not None and persistence.lower() not in _TRUE | _FALSE:
        raise CommandError(f"PERSISTENCE is '{persistence}'; it must be 0 or 1")
    return Defaults(
        port,
        persistence is not None and persistence.lower() in _FALSE,
        environment.get("DEBUG", "").lower() in _TRUE,
        tuple(notes),
    )
