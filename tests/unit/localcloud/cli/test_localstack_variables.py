"""LocalStack's variables are read, or are said to have no effect."""

from __future__ import annotations

import pytest

from localcloud.cli.console import CommandError
from localcloud.cli.localstack_variables import Defaults, defaults_of

pytestmark = pytest.mark.emulator_only


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Defaults(None, False, False, ())),
        ({"GATEWAY_LISTEN": "127.0.0.1:4567"}, Defaults(4567, False, False, ())),
        ({"GATEWAY_LISTEN": ":4567,:443"}, Defaults(4567, False, False, ())),
        ({"PERSISTENCE": "0", "DEBUG": "1"}, Defaults(None, True, True, ())),
        ({"PERSISTENCE": "true", "DEBUG": "no"}, Defaults(None, False, False, ())),
        (
            {
                "GATEWAY_LISTEN": "0.0.0.0:4566",
                "LOCALCLOUD_CONTAINER": "1",
                "LOCALCLOUD_HOSTS": "localcloud, AWS",
            },
            Defaults(
                *(4566, False, False, ()),
                host="0.0.0.0",  # noqa: S104 - only read here
                names=frozenset({"localcloud", "aws"}),
            ),
        ),
        # The machine of a person is no container, whatever else is set.
        (
            {"GATEWAY_LISTEN": "127.0.0.1:1", "LOCALCLOUD_HOSTS": "localcloud"},
            Defaults(1, False, False, ()),
        ),
    ],
)
def test_a_variable_gives_a_default(environment: dict[str, str], expected: Defaults) -> None:
    assert defaults_of(environment) == expected


def test_a_variable_without_an_effect_is_named() -> None:
    notes = defaults_of({"SERVICES": "s3", "GATEWAY_LISTEN": "0.0.0.0:4566"}).notes
    assert notes == (
        "SERVICES has no effect: every service is there; what is not implemented answers 501",
        "GATEWAY_LISTEN names 0.0.0.0; the local cloud listens on 127.0.0.1 only",
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GATEWAY_LISTEN": "localhost"}, "GATEWAY_LISTEN is 'localhost'; it must be HOST:PORT"),
        ({"GATEWAY_LISTEN": ":99999"}, "GATEWAY_LISTEN is ':99999'; it must be HOST:PORT"),
        ({"PERSISTENCE": "maybe"}, "PERSISTENCE is 'maybe'; it must be 0 or 1"),
        ({"LOCALCLOUD_CONTAINER": "yes"}, "LOCALCLOUD_CONTAINER is 'yes'; it must be 0 or 1"),
        (
            {"LOCALCLOUD_CONTAINER": "1", "LOCALCLOUD_HOSTS": "a,example.com"},
            "LOCALCLOUD_HOSTS has 'example.com'; it must have names of services",
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError) as caught:
        defaults_of(environment)
    assert str(caught.value).startswith(said)
