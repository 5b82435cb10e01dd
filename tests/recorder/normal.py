"""Normal form of requests and answers: account, region, names, times and generated ids are tokens.

The tokens are `<account>`, `<region>`, `<prefix>` (of the recording's names), `<caller>`,
`<image>`, `<role>`, `<queues>` (the address of SQS), `<time>`, `<number>` (measured), `<id:N>` and
`<secret:N>`. A time in a text keeps its format, as in `<time:0000-00-00T00:00:00Z>`. The same value
has the same token within one case, so that a replay can pass on the value that the other cloud
generated. Pure.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# An answer's text of more than this many characters is cut, and compared as far as it goes. That of
# a request is compressed.
LONGEST = 10_000
# A secret of a request that is longer than this is replayed by another one of its length.
LONGEST_SECRET = 1_000
# A secret of fewer characters is taken out of a text in quotes only; a longer one also if a text
# has only its beginning.
SHORT_SECRET = 6
BEGINNING = 32

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_GENERATED = re.compile(
    rf"{_UUID}"
    r"|\b(?:AIDA|AROA|AGPA|ANPA|AIPA|ASCA)[A-Z0-9]{12,}\b"  # unique ids of IAM
    r"|(?<=-)[A-Z0-9]{12,13}\b"  # the end of a name that CloudFormation gives
    r"|\b[0-9a-f]{40,64}\b"  # digests of what is generated
    r"|(?<=secret:)(?<=[-\w])[A-Za-z0-9]{6}\b"
)
_TIME = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
# Seconds or milliseconds since the epoch, which are times in members with these names.
_EPOCH = re.compile(r"1\d{9}(?:\d{3})?(?:\.\d+)?")
_EPOCH_MEMBER = re.compile(r"(?i)(?:time|timestamp|date|at)$")
# Members whose whole value is generated, unless the test gave it.
_GENERATED_MEMBER = re.compile(
    r"(?:Id|ID|id|Token|token|ReceiptHandle|ETag|Etag|etag|RevisionId|VersionId)$"
)
# Members that hold a secret in services whose model does not say so.
_SECRET_MEMBER = re.compile(
    r"(?i)(?:secret(?:access)?key|sessiontoken|password|secretstring|secretbinary|accesskeyid"
    r"|authorizationtoken|privatekey|plaintext|credential)$"
)
# Members that are measured, unless the test gave the number.
_MEASURED_MEMBER = re.compile(r"(?:TimeInSeconds|Millis|InBytes|Timestamp|^Size)$")
_TOKEN = re.compile(r"<(?:id|secret):\d+>")
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b")


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity of a recording; `hidden` are further texts that no recording may contain."""

    account: str
    region: str
    prefix: str
    arn: str = ""
    user_id: str = ""
    hidden: tuple[str, ...] = ()


@dataclass(slots=True)
class Normaliser:
    """Tokens of the values of one case, in the order in which they appear."""

    caller: Caller
    given: set[str] = field(default_factory=set)
    tokens: dict[str, str] = field(default_factory=dict)
    # Further values with tokens of their own, such as an image.
    named: dict[str, str] = field(default_factory=dict)
    numbers: set[float] = field(default_factory=set)
    # Every secret of a request or an answer, which an error's message may repeat.
    secrets: set[str] = field(default_factory=set)

    def request(self, value: Any, shape: Any) -> Any:
        """Return a request's normal form; its texts count as the test's own, not as generated."""
        self.given.update(texts(value))
        self.numbers.update(numbers(value))
        return self._walk(value, shape, "", True, False)

    def answer(self, value: Any, shape: Any) -> Any:
        """Return an answer's normal form."""
        return self._walk(value, shape, "", False, False)

    def text(self, value: str) -> str:
        """Return a text's normal form, such as an error's message; a very long one is cut."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            value = _without(value, secret)
        value = self._tokens(value)
        return value if len(value) <= LONGEST else value[:LONGEST] + "<cut>"

    def _tokens(self, value: str) -> str:
        caller = self.caller
        for found, token in (
            *self.named.items(),
            (caller.arn, "<caller>"),
            # That of an account's root is the account's number.
            (caller.user_id if caller.user_id != caller.account else "", "<caller>"),
            (caller.prefix, "<prefix>"),
            (caller.account, "<account>"),
            (caller.region, "<region>"),
        ):
            if found:
                value = value.replace(found, token)
        # The format is compared, the digits are not.
        value = _TIME.sub(lambda m: f"<time:{_zeros(m[0])}>", value)
        # A generated id that the test passes on keeps the token that it had in the answer.
        return _GENERATED.sub(lambda m: self.token("id", m[0]), value)

    def token(self, kind: str, value: str) -> str:
        """Return the token of a value, a new one the first time."""
        if _TOKEN.fullmatch(value):
            return value
        key = f"{kind}\0{value}"
        if key not in self.tokens:
            number = sum(known.startswith(f"{kind}\0") for known in self.tokens) + 1
            self.tokens[key] = f"<{kind}:{number}>"
        return self.tokens[key]

    def value_of(self, token: str) -> str | None:
        """Return the value that has a token."""
        return next((k.partition("\0")[2] for k, t in self.tokens.items() if t == token), None)

    def _walk(self, value: Any, shape: Any, member: str, ours: bool, secret: bool) -> Any:
        secret = secret or _is_secret(shape, member)
        if isinstance(value, Mapping):
            return {
                (self.token("secret", key) if secret else self.text(str(key))): self._walk(
                    each, _member(shape, key), str(key), ours, secret
                )
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            inner = getattr(shape, "member", None)
            return [self._walk(each, inner, member, ours, secret) for each in value]
        if isinstance(value, bool) or value is None:
            return value
        if secret:
            text = value.hex() if isinstance(value, bytes) else str(value)
            self.secrets.add(text)
            if ours and (not text or len(text) > LONGEST_SECRET):
                # Its length is what is tested.
                return {"$secret": len(text)}
            return self.token("secret", text)
        if isinstance(value, datetime):
            return {"$time": value.isoformat()} if ours else "<time>"
        if isinstance(value, bytes | bytearray):
            return self._bytes(bytes(value))
        if isinstance(value, str):
            return self._string(value, member, ours)
        if not ours and _MEASURED_MEMBER.search(member) and value not in self.numbers:
            return "<number>"
        return value

    def _string(self, value: str, member: str, ours: bool) -> Any:
        if ours and len(value) > LONGEST:
            # A request is sent again as it was, however long.
            text = self._tokens(value).encode()
            return {"$packed": base64.b64encode(zlib.compress(text, 9)).decode()}
        known = self.tokens.get(f"id\0{value}")
        if known is not None:
            return known
        generated = _GENERATED_MEMBER.search(member) and not ours and value not in self.given
        if not ours and _EPOCH_MEMBER.search(member) and _EPOCH.fullmatch(value):
            return f"<time:{_zeros(value)}>"
        # What holds the recording's prefix is a name of the test's, with or without more.
        if generated and value and self.caller.prefix not in value and ":" not in value:
            return self.token("id", value)
        return self._tokens(value) if ours else self.text(value)

    def _bytes(self, value: bytes) -> Any:
        try:
            return {"$text": self.text(value.decode())}
        except UnicodeDecodeError:
            return {"$bytes": base64.b64encode(value[:LONGEST]).decode()}


def _without(text: str, secret: str) -> str:
    """Return a text without a secret: a short one in quotes, a long one also by its beginning."""
    if not secret:
        return text
    if len(secret) < SHORT_SECRET:
        return text.replace(f"'{secret}'", "'<secret>'").replace(f'"{secret}"', '"<secret>"')
    text = text.replace(secret, "<secret>")
    # A message may repeat the beginning only.
    start = secret[:BEGINNING]
    while len(secret) > BEGINNING and (at := text.find(start)) >= 0:
        rest = text[at:]
        same = next((n for n, (a, b) in enumerate(zip(rest, secret, strict=False)) if a != b), None)
        text = text[:at] + "<secret>" + rest[len(secret) if same is None else same :]
    return text


def _zeros(value: str) -> str:
    """Return a time's format: zeros for its digits, and one for those of a fraction."""
    return re.sub(r"\d", "0", re.sub(r"\.\d+", ".0", value))


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, without keys."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def numbers(value: Any) -> Iterator[float]:
    """Yield every number in a value."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, int | float):
        yield value


def leaks(document: str, caller: Caller) -> list[str]:
    """Return the kinds of private values that a recording's text still contains."""
    found = [
        kind
        for kind, value in (
            ("the account's number", caller.account),
            ("the caller's ARN", caller.arn),
            ("the caller's id", caller.user_id),
            ("the prefix of names", caller.prefix),
        )
        if value and value in document
    ]
    found += ["a credential" for value in caller.hidden if value and value in document]
    found += ["an access key id" for _ in _KEY_ID.findall(document)]
    return sorted(set(found))


def _member(shape: Any, key: Any) -> Any:
    if shape is None:
        return None
    if shape.type_name == "structure":
        return shape.members.get(key)
    return getattr(shape, "value", None)


def _is_secret(shape: Any, member: str) -> bool:
    if shape is not None and shape.metadata.get("sensitive"):
        return True
    # The name of a secret is none: SecretId, NextToken.
    return bool(_SECRET_MEMBER.search(member))
