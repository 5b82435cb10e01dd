"""Resource types against AWS's registry: their properties, and which of them replace a resource."""

from __future__ import annotations

import json

import pytest

from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.resource_types.base import (
    Handler,
    Properties,
    ResourceFailed,
    tag_changes,
)
from localcloud.cloudformation.schema import FILE, SCHEMAS, extract
from localcloud.cloudformation.write_schemas import document

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html"
)

TOPIC, GROUP = HANDLERS["AWS::SNS::Topic"], HANDLERS["AWS::Logs::LogGroup"]


def refusal(handler: Handler, properties: Properties) -> str:
    with pytest.raises(ResourceFailed) as caught:
        handler.check("R", properties)
    return str(caught.value)


def test_the_file_is_what_the_installed_cfn_lint_ships() -> None:
    assert document(HANDLERS) == json.loads(FILE.read_text()), "run: make schemas"


def test_every_handler_has_a_schema_and_every_schema_a_handler() -> None:
    assert set(SCHEMAS) == set(HANDLERS)


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=lambda handler: handler.type)
def test_a_handler_speaks_of_properties_that_exist(handler: Handler) -> None:
    said = handler.carried_out | set(handler.assumed)
    assert set() == said - handler.schema.properties
    assert set() == said & handler.schema.read_only
    assert set() == handler.carried_out & set(handler.assumed)
    assert handler.schema.required <= handler.carried_out
    assert handler.name_property in ({""} | handler.schema.create_only)


@pytest.mark.parametrize(
    ("type_", "in_place", "replacing"),
    [
        ("AWS::SageMaker::Model", {"Tags"}, {"PrimaryContainer", "ModelName"}),
        ("AWS::SageMaker::EndpointConfig", {"Tags"}, {"ProductionVariants", "DataCaptureConfig"}),
        ("AWS::SageMaker::Endpoint", {"EndpointConfigName", "Tags"}, {"EndpointName"}),
        ("AWS::SNS::Topic", {"DisplayName", "KmsMasterKeyId", "Subscription"}, {"TopicName"}),
        ("AWS::Logs::LogGroup", {"RetentionInDays", "KmsKeyId", "Tags"}, {"LogGroupName"}),
        ("AWS::CloudWatch::Alarm", {"Threshold", "Tags"}, {"AlarmName"}),
    ],
)
def test_what_a_change_of_a_property_replaces(
    type_: str, in_place: set[str], replacing: set[str]
) -> None:
    handler = HANDLERS[type_]
    assert [] == [name for name in sorted(in_place) if handler.must_replace({}, {name: "new"})]
    assert [] == [n for n in sorted(replacing) if not handler.must_replace({n: "old"}, {n: "new"})]


def test_a_misspelt_and_a_missing_property_are_refused_in_awss_words() -> None:
    text = refusal(HANDLERS["AWS::SageMaker::Endpoint"], {"EndpointConfigNam": "c"})
    assert text == (
        "Properties validation failed for resource R with message:\n"
        "#: extraneous key [EndpointConfigNam] is not permitted\n"
        "#: required key [EndpointConfigName] not found"
    )


def test_a_read_only_property_is_refused() -> None:
    assert "#: read-only key [TopicArn] is not permitted" in refusal(TOPIC, {"TopicArn": "arn"})


@pytest.mark.emulator_only
def test_a_property_that_does_nothing_here_is_refused_by_name() -> None:
    text = refusal(TOPIC, {"TopicName": "t", "ArchivePolicy": {}, "FifoTopic": True})
    assert text == (
        "The local cloud does not carry out ArchivePolicy, FifoTopic of AWS::SNS::Topic; "
        "it carries out: DisplayName, KmsMasterKeyId, Subscription, Tags, TopicName"
    )


@pytest.mark.emulator_only
@pytest.mark.parametrize("value", ["STANDARD"])
def test_a_property_may_say_what_aws_assumes_anyway(value: str) -> None:
    GROUP.check("R", {"LogGroupClass": value, "DeletionProtectionEnabled": False})
    TOPIC.check("R", {"FifoTopic": "false", "ContentBasedDeduplication": False})
    assert "LogGroupClass" in refusal(GROUP, {"LogGroupClass": "INFREQUENT_ACCESS"})


def test_tags_that_changed_are_set_and_those_that_are_gone_are_removed() -> None:
    def tagged(**tags: str) -> Properties:
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    assert ({"b": "3", "c": "4"}, ["a"]) == tag_changes(tagged(a="1", b="2"), tagged(b="3", c="4"))
    assert ({}, []) == tag_changes(tagged(a="1"), tagged(a="1"))
    assert ({}, ["a"]) == tag_changes(tagged(a="1"), {})
    assert ({"a": "1"}, []) == tag_changes({"Tags": None}, tagged(a="1"))


def test_a_part_of_a_property_is_not_the_property() -> None:
    schema = {
        "properties": {"A": {}, "B": {}},
        "createOnlyProperties": ["/properties/A", "/properties/B/Part"],
        "description": "for people",
    }
    assert extract(schema, ["Arn"]) == {
        "create_only": ["A"],
        "read_only": [],
        "attributes": ["Arn"],
        "identifiers": [],
        "document": {"type": "object", "properties": {"A": {}, "B": {}}, "definitions": {}},
    }
