"""Finding the version of a function that an invocation runs; call it in moto's thread.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

from localcloud.lambda_ import records
from localcloud.lambda_.environment import Code, Function
from localcloud.lambda_.event_invoke_api import config_of
from localcloud.lambda_.names import FunctionName
from localcloud.moto_backend.dispatcher import backend


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """The settings of asynchronous invocations.

    Attributes:
        retries: how often a failed event is tried again.
        oldest_seconds: the age, in clock seconds, from which on it is not tried again.
        dead_letters: the ARN of a queue or topic for events that failed; or empty.
        on_success: the ARN of the destination of successes; or empty.
        on_failure: the ARN of the destination of failures; or empty.
    """

    retries: int = 2
    oldest_seconds: int = 21_600
    dead_letters: str = ""
    on_success: str = ""
    on_failure: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A version of a function, ready to be run.

    Attributes:
        arn: the ARN by which it was asked for.
        most_at_once: the reserved concurrency; None if there is none.
    """

    function: Function
    code: Code
    arn: str
    most_at_once: int | None = None
    asynchronous: Asynchronous = field(default_factory=Asynchronous)


def find(name: FunctionName) -> Found:
    """Return the version that a name means; an alias with two versions gives one by chance.

    Raises:
        AwsError: there is no such function, version or alias.
    """
    lambdas = backend("lambda", name.scope)
    # The share of an alias is no secret.
    kept = records.resolved(lambdas, name, random.random())  # noqa: S311
    latest = records.group_of(lambdas, name)["latest"]
    if not getattr(kept, "code_bytes", None):
        raise name.not_found()
    layers = [lambdas.layers_versions_by_arn(layer["Arn"]) for layer in kept.layers]
    layers = [layer for layer in layers if layer is not None]
    code = Code(bytes(kept.code_bytes), tuple(bytes(layer.code_bytes) for layer in layers))
    environment = {str(k): str(v) for k, v in dict(kept.environment_vars or {}).items()}
    about = records.kept(kept)
    logging = about.get("LoggingConfig") or {}
    # What a warm environment was started with.
    started = [
        *(kept.code_sha_256, *(layer.code_sha_256 for layer in layers)),
        *(kept.handler, kept.timeout, kept.memory_size, kept.role, kept.run_time),
        *(sorted(environment.items()), sorted(logging.items())),
    ]
    if logging.get("LogFormat") == "JSON":
        environment = {
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": logging.get("ApplicationLogLevel") or "INFO",
            **environment,
        }
    function = Function(
        scope=name.scope,
        name=name.name,
        arn=name.arn,
        version=str(kept.version),
        role_arn=kept.role,
        handler=kept.handler,
        runtime=kept.run_time,
        timeout_seconds=int(kept.timeout),
        memory_megabytes=int(kept.memory_size),
        version_key=hashlib.sha256(repr(started).encode()).hexdigest(),
        log_group=logging.get("LogGroup") or f"/aws/lambda/{name.name}",
        environment=environment,
    )
    reserved = getattr(latest, "reserved_concurrency", None)
    return Found(
        function,
        code,
        name.qualified_arn,
        None if reserved is None else int(reserved),
        _asynchronous(config_of(latest, name.qualifier), about),
    )


def _asynchronous(config: dict[str, Any], about: dict[str, Any]) -> Asynchronous:
    destinations = config.get("DestinationConfig") or {}

    def destination(outcome: str) -> str:
        return str((destinations.get(outcome) or {}).get("Destination") or "")

    return Asynchronous(
        retries=int(config.get("MaximumRetryAttempts", 2)),
        oldest_seconds=int(config.get("MaximumEventAgeInSeconds", 21_600)),
        dead_letters=str((about.get("DeadLetterConfig") or {}).get("TargetArn") or ""),
        on_success=destination("OnSuccess"),
        on_failure=destination("OnFailure"),
    )
