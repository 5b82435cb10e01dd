"""CloudFormation: templates that are refused before anything is made, and stored parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud import TestCloud, wait_for
from tests.stacks import Stacks, group, template

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide"
API = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference"


def refusal(request: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        request(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.recordable
@pytest.mark.aws_documented(f"{GUIDE}/troubleshooting.html")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[", "Template format error: YAML not well-formed. (line 1, column 2)"),
        ('{"a" 1}', "Template format error: JSON not well-formed. (line 1, column 7)"),
        (
            {"Resources": {"G": {"Type": "AWS::Logs::LogGroup", "Properties": {"A": None}}}},
            "[/Resources/G/Properties/A] 'null' values are not allowed in templates",
        ),
        (
            {"Outputs": {"O": {"Description": "d"}}},
            "Template format error: Every Outputs member must contain a Value object",
        ),
        (
            {"Conditions": {"C": {"Fn::Equals": ["a"]}}},
            "Template error: every Fn::Equals object requires a list of 2 string parameters.",
        ),
        (
            {"Outputs": {"O": {"Value": {"Ref": "X"}}}},
            "Template format error: Unresolved resource dependencies [X] in the Outputs block of "
            "the template",
        ),
        ({"Extra": {}}, "Invalid template property or properties [Extra]"),
        (
            {"Outputs": {"O": {"Value": {"Fn::GetAtt": ["G", "Name"]}}}},
            "Template error: resource G does not support attribute type Name in Fn::GetAtt",
        ),
    ],
)
def test_a_wrong_template_is_refused_by_every_operation_and_leaves_no_stack(
    cloud: TestCloud, stacks: Stacks, body: Any, message: str
) -> None:
    refused = cloud.name("refused")
    if not isinstance(body, str):
        body = json.dumps({"Resources": {"G": group(f"/stack/{refused}")}, **body})
    name = stacks.create(template(G=group(cloud.name("refusing"))))
    client = stacks.client
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"
    for request in (
        client.validate_template,
        client.get_template_summary,
        partial(client.create_stack, StackName=refused),
        partial(
            client.create_change_set, StackName=refused, ChangeSetName="c", ChangeSetType="CREATE"
        ),
        partial(client.create_change_set, StackName=name, ChangeSetName="c"),
        partial(client.update_stack, StackName=name),
    ):
        assert refusal(request, TemplateBody=body) == ("ValidationError", message), request
    assert refusal(client.describe_stacks, StackName=refused)[0] == "ValidationError"
    assert client.list_change_sets(StackName=name)["Summaries"] == []
    assert stacks.settled(name)["StackStatus"] == "CREATE_COMPLETE"


def stored(kind: str, constraints: dict[str, Any] | None = None) -> str:
    declared = {"Type": f"AWS::SSM::Parameter::Value<{kind}>", **(constraints or {})}
    value: Any = {"Ref": "P"} if kind == "String" else {"Fn::Join": ["|", {"Ref": "P"}]}
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": value}}
    return json.dumps({"Parameters": {"P": declared}, "Resources": {"T": topic}})


def named(name: str) -> list[dict[str, Any]]:
    return [{"ParameterKey": "P", "ParameterValue": name}]


@pytest.fixture
def parameters(cloud: TestCloud) -> Iterator[Any]:
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name="/stack/text", Value="first", Type="String")
    ssm.put_parameter(Name="/stack/list", Value="a, b ,c", Type="StringList")
    ssm.put_parameter(Name="/stack/hush", Value="hush", Type="SecureString")
    yield ssm
    ssm.delete_parameters(Names=["/stack/text", "/stack/list", "/stack/hush"])


def display_name(cloud: TestCloud, stacks: Stacks, name: str) -> str:
    resources = stacks.client.describe_stack_resources(StackName=name)["StackResources"]
    arn = resources[0]["PhysicalResourceId"]
    found = cloud.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    return str(found["DisplayName"])


@pytest.mark.aws_documented(f"{GUIDE}/cloudformation-supplied-parameter-types.html")
def test_a_parameter_stands_for_a_value_of_parameter_store_and_is_read_at_each_update(
    cloud: TestCloud, stacks: Stacks, parameters: Any
) -> None:
    # Constraints are those of the name.
    body = stored("String", {"AllowedPattern": "/stack/.*"})
    name = stacks.create(body, Parameters=named("/stack/text"))
    made = stacks.settled(name)
    assert made["StackStatus"] == "CREATE_COMPLETE", stacks.reasons(name)
    shown = {"ParameterKey": "P", "ParameterValue": "/stack/text", "ResolvedValue": "first"}
    assert made["Parameters"] == [shown]
    assert display_name(cloud, stacks, name) == "first"
    previous = [{"ParameterKey": "P", "UsePreviousValue": True}]
    update = partial(
        stacks.client.update_stack,
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=previous,
    )
    assert refusal(update) == ("ValidationError", "No updates are to be performed.")
    parameters.put_parameter(Name="/stack/text", Value="second", Overwrite=True)
    stacks.client.create_change_set(
        StackName=name, ChangeSetName="c", UsePreviousTemplate=True, Parameters=previous
    )

    def change_set() -> Any:
        found = stacks.client.describe_change_set(StackName=name, ChangeSetName="c")
        return found if found["Status"] == "CREATE_COMPLETE" else None

    found = wait_for("the change set", change_set)
    assert found["Parameters"] == [shown | {"ResolvedValue": "second"}]
    (change,) = found["Changes"]
    assert change["ResourceChange"]["Details"][0]["CausingEntity"] == "P"
    update()
    assert stacks.settled(name)["Parameters"] == [shown | {"ResolvedValue": "second"}]
    assert display_name(cloud, stacks, name) == "second"


@pytest.mark.usefixtures("parameters")
@pytest.mark.aws_documented(f"{GUIDE}/cloudformation-supplied-parameter-types.html")
@pytest.mark.parametrize("kind", ["List<String>", "CommaDelimitedList"])
def test_a_stored_list_has_no_blanks(cloud: TestCloud, stacks: Stacks, kind: str) -> None:
    name = stacks.create(stored(kind), Parameters=named("/stack/list"))
    made = stacks.settled(name)
    assert made["Parameters"][0]["ResolvedValue"] == "a,b,c"
    assert display_name(cloud, stacks, name) == "a|b|c"


@pytest.mark.usefixtures("parameters")
@pytest.mark.aws_documented(f"{GUIDE}/cloudformation-supplied-parameter-types.html")
@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "String",
            "/stack/none",
            "Unable to fetch parameters [/stack/none] from parameter store for this account.",
        ),
        (
            "String",
            "/stack/text:9",
            "Unable to fetch parameters [/stack/text:9] from parameter store for this account.",
        ),
        (
            "String",
            "/stack/list",
            "Types for SSM parameters [/stack/list] defined in CFN template and SSM are "
            "incompatible",
        ),
        (
            "CommaDelimitedList",
            "/stack/text",
            "Types for SSM parameters [/stack/text] defined in CFN template and SSM are "
            "incompatible",
        ),
        (
            "String",
            "/stack/hush",
            "Parameters [/stack/hush] referenced by template have types not supported by "
            "CloudFormation.",
        ),
    ],
)
def test_a_stored_value_that_cannot_be_taken_is_refused(
    stacks: Stacks, kind: str, name: str, message: str
) -> None:
    found = refusal(
        stacks.client.create_stack,
        StackName="unstored",
        TemplateBody=stored(kind),
        Parameters=named(name),
    )
    assert found == ("ValidationError", message)


@pytest.mark.usefixtures("parameters")
@pytest.mark.aws_documented(f"{GUIDE}/cloudformation-supplied-parameter-types.html")
def test_the_name_of_a_stored_parameter_must_be_one(cloud: TestCloud, stacks: Stacks) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "P"}}}
    declared = {"P": {"Type": "AWS::SSM::Parameter::Name"}}
    body = json.dumps({"Parameters": declared, "Resources": {"T": topic}})
    name = stacks.create(body, Parameters=named("/stack/text"))
    assert "ResolvedValue" not in stacks.settled(name)["Parameters"][0]
    assert display_name(cloud, stacks, name) == "/stack/text"
    _, message = refusal(
        stacks.client.create_stack,
        StackName="unnamed",
        TemplateBody=body,
        Parameters=named("/stack/none"),
    )
    assert message == (
        "Parameter validation failed: parameter value /stack/none for parameter name P does not "
        "exist"
    )


@pytest.mark.aws_documented(f"{API}/API_CreateStack.html")
def test_a_stack_in_review_is_taken_over_and_its_change_sets_become_obsolete(
    stacks: Stacks,
) -> None:
    client, body = stacks.client, template(G=group("/stack/reviewed"))
    stacks.names.append("reviewed")
    made = client.create_change_set(
        StackName="reviewed", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body
    )
    client.get_waiter("change_set_create_complete").wait(
        StackName="reviewed", ChangeSetName="c", WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
    )
    created = client.create_stack(StackName="reviewed", TemplateBody=body)
    assert created["StackId"] == made["StackId"]
    assert stacks.settled("reviewed")["StackStatus"] == "CREATE_COMPLETE"
    found = client.describe_change_set(ChangeSetName=made["Id"])
    assert (found["Status"], found["ExecutionStatus"]) == ("CREATE_COMPLETE", "OBSOLETE")
    code, _ = refusal(client.create_stack, StackName="reviewed", TemplateBody=body)
    assert code == "AlreadyExistsException"


@pytest.mark.aws_documented(f"{API}/API_CreateChangeSet.html")
def test_the_id_of_a_deleted_stack_names_no_new_one(stacks: Stacks) -> None:
    client, body = stacks.client, template(G=group("/stack/gone"))
    name = stacks.create(body)
    id_ = stacks.settled(name)["StackId"]
    client.delete_stack(StackName=name)
    assert stacks.settled(id_)["StackStatus"] == "DELETE_COMPLETE"
    create = partial(client.create_change_set, ChangeSetName="again", TemplateBody=body)
    assert refusal(create, StackName=id_, ChangeSetType="CREATE") == (
        "ValidationError",
        f"Stack [{id_}] already exists and cannot be created again with the changeSet [again].",
    )
    assert refusal(create, StackName=id_) == (
        "ValidationError",
        f"Stack [{id_}] does not exist",
    )
    assert refusal(client.create_stack, StackName="a_b", TemplateBody=body) == (
        "ValidationError",
        "1 validation error detected: Value 'a_b' at 'stackName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: "
        "[a-zA-Z][-a-zA-Z0-9]*|arn:[-a-zA-Z0-9:/._+]*",
    )
