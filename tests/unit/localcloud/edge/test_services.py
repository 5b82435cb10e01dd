"""The list of services, and that every table which knows a name knows the same names."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from components.provider import SERVICES as PROVIDER_ALIASES
from localcloud.aws.protocol import implemented_by, service_model
from localcloud.codepipeline.actions import PROVIDERS, RUNS
from localcloud.codepipeline.catalogue import action_types, rule_types
from localcloud.codepipeline.rules import RULES
from localcloud.core.clock import Clock
from localcloud.core.state_directory import StateDirectory
from localcloud.deploy.types import TYPES
from localcloud.edge.coverage import implemented
from localcloud.edge.gateway import Gateway
from localcloud.edge.services import SERVICES, Services
from localcloud.iam.actions import known, operations_with_an_entry

pytestmark = pytest.mark.emulator_only

# The service of a Pulumi type's module, where the provider's alias for it is another word.
ALIAS_OF_MODULE = {
    "cloudwatch/eventRule": "events",
    "cloudwatch/eventTarget": "events",
    "cloudwatch/logGroup": "logs",
    "lambda": "lambda_",
}


def test_the_fields_of_services_are_the_list_in_its_order() -> None:
    assert list(SERVICES) == [get_type_hints(Services)[field.name] for field in fields(Services)]


def test_a_service_has_an_instance_of_each_of_its_api_classes(tmp_path: Path) -> None:
    async def built() -> dict[str, tuple[list[type], list[type]]]:
        directory = StateDirectory(tmp_path)
        gateway = Gateway(Clock(), "http://127.0.0.1:1", directory, lambda: None)
        try:
            return {
                type(service).__name__: (
                    [api for classes in service.API_CLASSES.values() for api in classes],
                    [type(api) for api in service.apis()],
                )
                for service in gateway.services.all()
            }
        finally:
            await gateway.stop()
            directory.close()

    found = asyncio.run(built())
    assert len(SERVICES) == len(found)
    for name, (declared, actual) in found.items():
        assert declared == actual, name


def test_no_operation_is_implemented_twice() -> None:
    names = [
        (service_name, operation)
        for service in SERVICES
        for service_name, classes in service.API_CLASSES.items()
        for api in classes
        for operation in implemented_by(api).values()
    ]
    assert [] == [name for name, count in Counter(names).items() if count > 1]


def test_every_implemented_operation_has_its_iam_entry() -> None:
    missing = [
        f"{service}:{operation}"
        for service, operations in implemented().items()
        for operation in operations
        if not known(service, operation)
    ]
    assert [] == missing


def test_every_iam_entry_is_an_operation_of_its_service() -> None:
    # An endpoint's invocation is another service to botocore, and the same one to IAM.
    models = {"sagemaker": ("sagemaker", "sagemaker-runtime")}
    unknown = []
    for name in operations_with_an_entry():
        service, _, operation = name.partition(":")
        known_names = {
            known_name
            for model in models.get(service, (service,))
            for known_name in service_model(model).operation_names
        }
        if operation not in known_names:
            unknown.append(name)
    assert [] == unknown


def test_every_action_type_that_runs_is_listed_and_none_else() -> None:
    listed = [(kind["id"]["category"], kind["id"]["provider"]) for kind in action_types()]
    assert sorted(PROVIDERS) == sorted(listed) == sorted(RUNS)


def test_every_rule_type_that_runs_is_listed_and_none_else() -> None:
    assert sorted(RULES) == sorted(kind["id"]["provider"] for kind in rule_types())


def test_every_pulumi_type_is_of_a_service_that_the_program_can_point_elsewhere() -> None:
    unknown = []
    for token in TYPES:
        _, module, _ = token.split(":")
        alias = ALIAS_OF_MODULE.get(module) or ALIAS_OF_MODULE.get(module.partition("/")[0])
        if (alias or module.partition("/")[0]) not in PROVIDER_ALIASES:
            unknown.append(token)
    assert [] == unknown
