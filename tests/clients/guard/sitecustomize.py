"""Refuses every connection that leaves this machine, in the Python process that starts with it.

Python imports a module of this name from PYTHONPATH before anything else. Names that stand for
this machine are answered with 127.0.0.1, as public DNS and RFC 6761 answer them. What is refused is
added to the file that NETWORK_GUARD_LOG names, a line each: a test sees what a client tried.
"""

import ipaddress
import os
import socket
from typing import Any

_LOCAL = ("localhost", "localhost.localstack.cloud")
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo


def _refuse(host: str) -> None:
    with open(os.environ["NETWORK_GUARD_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{host}\n")


def _is_local_name(host: str) -> bool:
    return host.lower() in _LOCAL or host.lower().endswith(tuple(f".{name}" for name in _LOCAL))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolve(host: Any, *arguments: Any, **options: Any) -> Any:
    text = host.decode() if isinstance(host, bytes) else host
    if not text or _is_address(text):
        return _getaddrinfo(host, *arguments, **options)
    if _is_local_name(text):
        return _getaddrinfo("127.0.0.1", *arguments, **options)
    _refuse(text)
    raise socket.gaierror(socket.EAI_NONAME, f"{text} is not on this machine")


def _stays(address: Any) -> bool:
    """Return whether an address is on this machine: a Unix socket or loopback."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "" or _is_local_name(host)


def _guarded_connect(self: socket.socket, address: Any) -> None:
    if not _stays(address):
        _refuse(str(address[0]))
        raise ConnectionRefusedError(f"{address[0]} is not on this machine")
    _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> int:
    if not _stays(address):
        _refuse(str(address[0]))
        return 111  # ECONNREFUSED
    return _connect_ex(self, address)


socket.getaddrinfo = _resolve
socket.gethostbyname = lambda host: str(_resolve(host, None)[0][4][0])
for name, guarded in (("connect", _guarded_connect), ("connect_ex", _guarded_connect_ex)):
    setattr(socket.socket, name, guarded)
