"""Lambda: versions, aliases, qualifiers, policies, and the configuration of a function."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import ACCOUNT, REGION, TestCloud, configured_url, local_cloud
from tests.functions import Functions, saying

API = "https://docs.aws.amazon.com/lambda/latest/api"
VERSIONS = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html"
ALIASES = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html"
ROUTING = "https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"


@pytest.mark.aws_documented(VERSIONS)
def test_a_version_keeps_its_code_and_settings(functions: Functions) -> None:
    made = functions.make("frozen", saying("one"), Description="first")
    assert made["Version"] == "$LATEST"
    first = functions.client.publish_version(FunctionName="frozen")
    assert (first["Version"], first["FunctionArn"]) == ("1", f"{ARN}:frozen:1")
    functions.change("frozen", saying("two"))
    functions.client.update_function_configuration(FunctionName="frozen", Timeout=7)
    second = functions.client.publish_version(FunctionName="frozen", Description="second")
    assert second["Version"] == "2"
    functions.change("frozen", saying("three"))
    for qualifier, word, timeout in (("1", "one", 3), ("2", "two", 7), ("$LATEST", "three", 7)):
        answer, payload = functions.invoke("frozen", Qualifier=qualifier)
        assert (payload, answer["ExecutedVersion"]) == (word, qualifier)
        shown = functions.client.get_function_configuration(
            FunctionName="frozen", Qualifier=qualifier
        )
        assert (shown["Timeout"], shown["Version"]) == (timeout, qualifier)
        assert shown["FunctionArn"] == f"{ARN}:frozen:{qualifier}"
    listed = functions.client.list_versions_by_function(FunctionName="frozen")["Versions"]
    assert [v["Version"] for v in listed] == ["$LATEST", "1", "2"]
    assert [v["Description"] for v in listed] == ["first", "first", "second"]


@pytest.mark.aws_documented(f"{API}/API_PublishVersion.html")
def test_a_version_is_published_only_if_something_has_changed(functions: Functions) -> None:
    client = functions.client
    made = functions.make("same", saying("one"), Publish=True)
    assert (made["Version"], made["FunctionArn"]) == ("1", f"{ARN}:same:1")
    assert client.publish_version(FunctionName="same")["Version"] == "1"
    assert functions.change("same", saying("one"), Publish=True)["Version"] == "1"
    assert functions.change("same", saying("two"), Publish=True)["Version"] == "2"
    client.update_function_configuration(
        FunctionName="same", Environment={"Variables": {"AA": "1"}}
    )
    assert client.publish_version(FunctionName="same")["Version"] == "3"
    # A number is not used again.
    client.delete_function(FunctionName="same", Qualifier="3")
    functions.change("same", saying("four"))
    assert client.publish_version(FunctionName="same")["Version"] == "4"


@pytest.mark.aws_documented(f"{API}/API_PublishVersion.html")
def test_a_version_of_other_code_or_another_revision_is_not_published(
    functions: Functions,
) -> None:
    made = functions.make("guarded", saying("one"))
    code, message = functions.refused(
        "publish_version", FunctionName="guarded", CodeSha256="x" * 43 + "="
    )
    assert code == "InvalidParameterValueException"
    assert made["CodeSha256"] in message
    code, _ = functions.refused("publish_version", FunctionName="guarded", RevisionId="other")
    assert code == "PreconditionFailedException"
    current = functions.client.get_function_configuration(FunctionName="guarded")
    answer = functions.client.publish_version(
        FunctionName="guarded",
        CodeSha256=made["CodeSha256"],
        RevisionId=current["RevisionId"],
    )
    assert answer["Version"] == "1"
    later = functions.client.get_function_configuration(FunctionName="guarded")
    assert later["RevisionId"] not in (current["RevisionId"], answer["RevisionId"])
    for operation, parameters in (
        ("update_function_configuration", {"Timeout": 5}),
        ("update_function_code", {"ZipFile": b"x"}),
    ):
        code, _ = functions.refused(
            operation, FunctionName="guarded", RevisionId=current["RevisionId"], **parameters
        )
        assert code == "PreconditionFailedException"


@pytest.mark.aws_documented(ALIASES)
def test_an_alias_is_a_version_until_it_is_changed(functions: Functions) -> None:
    client = functions.client
    functions.make("aliased", saying("one"), Publish=True)
    functions.change("aliased", saying("two"), Publish=True)
    made = client.create_alias(FunctionName="aliased", Name="PROD", FunctionVersion="1")
    assert made["AliasArn"] == f"{ARN}:aliased:PROD"
    assert "RoutingConfig" not in made
    answer, payload = functions.invoke("aliased:PROD")
    assert (payload, answer["ExecutedVersion"]) == ("one", "1")
    changed = client.update_alias(FunctionName="aliased", Name="PROD", FunctionVersion="2")
    assert changed["RevisionId"] != made["RevisionId"]
    assert functions.invoke("aliased", Qualifier="PROD")[1] == "two"
    shown = client.get_function(FunctionName="aliased", Qualifier="PROD")["Configuration"]
    assert (shown["FunctionArn"], shown["Version"]) == (f"{ARN}:aliased:PROD", "2")
    client.create_alias(FunctionName="aliased", Name="DEV", FunctionVersion="$LATEST")
    names = [a["Name"] for a in client.list_aliases(FunctionName="aliased")["Aliases"]]
    assert names == ["DEV", "PROD"]
    only = client.list_aliases(FunctionName="aliased", FunctionVersion="2")["Aliases"]
    assert [a["Name"] for a in only] == ["PROD"]
    code, _ = functions.refused("delete_function", FunctionName="aliased", Qualifier="2")
    assert code == "ResourceConflictException"
    client.delete_alias(FunctionName="aliased", Name="PROD")
    client.delete_alias(FunctionName="aliased", Name="PROD")
    assert functions.refused("get_alias", FunctionName="aliased", Name="PROD") == (
        "ResourceNotFoundException",
        f"Cannot find alias arn: {ARN}:aliased:PROD",
    )


@pytest.mark.aws_documented(ROUTING)
def test_an_alias_of_two_versions_divides_the_events_by_its_weight(functions: Functions) -> None:
    client = functions.client
    functions.make("weighted", saying("one"), Publish=True)
    functions.change("weighted", saying("two"), Publish=True)
    client.create_alias(
        FunctionName="weighted",
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    seen = Counter(functions.invoke("weighted:live")[0]["ExecutedVersion"] for _ in range(60))
    assert set(seen) == {"1", "2"}
    for weight, version in ((1.0, "2"), (0.0, "1")):
        client.update_alias(
            FunctionName="weighted",
            Name="live",
            RoutingConfig={"AdditionalVersionWeights": {"2": weight}},
        )
        found = {functions.invoke("weighted:live")[0]["ExecutedVersion"] for _ in range(5)}
        assert found == {version}
    client.update_alias(FunctionName="weighted", Name="live", RoutingConfig={})
    assert "RoutingConfig" not in client.get_alias(FunctionName="weighted", Name="live")


@pytest.mark.aws_documented(ALIASES)
@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"FunctionVersion": "9"}, "ResourceNotFoundException"),
        ({"Name": "taken"}, "ResourceConflictException"),
        ({"Name": "123"}, "ValidationException"),
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"9": 0.1}}},
            "ResourceNotFoundException",
        ),
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}},
            "InvalidParameterValueException",
        ),
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1, "3": 0.1}}},
            "InvalidParameterValueException",
        ),
        (
            {
                "FunctionVersion": "$LATEST",
                "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}},
            },
            "InvalidParameterValueException",
        ),
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"2": 1.1}}},
            "ValidationException",
        ),
        ({"FunctionName": "nowhere"}, "ResourceNotFoundException"),
    ],
)
def test_an_alias_that_cannot_be_is_refused(
    functions: Functions, parameters: dict[str, Any], code: str
) -> None:
    functions.make("strict", saying("one"), Publish=True)
    functions.client.create_alias(FunctionName="strict", Name="taken", FunctionVersion="1")
    settings = {"FunctionName": "strict", "Name": "new", "FunctionVersion": "1", **parameters}
    assert functions.refused("create_alias", **settings)[0] == code
    names = [a["Name"] for a in functions.client.list_aliases(FunctionName="strict")["Aliases"]]
    assert names == ["taken"]


@pytest.mark.aws_documented(f"{API}/API_Invoke.html")
def test_a_function_has_a_name_a_part_of_an_arn_and_an_arn(functions: Functions) -> None:
    code = "def handler(event, context):\n    return context.invoked_function_arn\n"
    functions.make("named", code, Publish=True)
    functions.client.create_alias(FunctionName="named", Name="A", FunctionVersion="1")
    for name in ("named", f"{ACCOUNT}:function:named", f"{ARN}:named"):
        for qualifier in ("", ":1", ":A", ":$LATEST"):
            answer, arn = functions.invoke(name + qualifier)
            assert arn == f"{ARN}:named{qualifier}"
            version = {"": "$LATEST", ":1": "1", ":A": "1", ":$LATEST": "$LATEST"}[qualifier]
            assert answer["ExecutedVersion"] == version
            shown = functions.client.get_function_configuration(FunctionName=name + qualifier)
            assert (shown["FunctionArn"], shown["Version"]) == (arn, version)
    assert functions.refused("invoke", FunctionName="named:A", Qualifier="1") == (
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
    )


@pytest.mark.aws_documented(f"{API}/API_GetFunction.html")
@pytest.mark.parametrize("qualifier", ["7", "no-such-alias"])
@pytest.mark.parametrize(
    "operation",
    ["invoke", "get_function", "get_function_configuration", "delete_function", "get_policy"],
)
def test_an_unknown_qualifier_is_not_found(
    functions: Functions, operation: str, qualifier: str
) -> None:
    functions.make("known", saying("one"), Publish=True)
    found = functions.refused(operation, FunctionName="known", Qualifier=qualifier)
    assert found == ("ResourceNotFoundException", f"Function not found: {ARN}:known:{qualifier}")
    with pytest.raises(ClientError) as caught:
        getattr(functions.client, operation)(FunctionName="nowhere", Qualifier=qualifier)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


@pytest.mark.aws_documented(f"{API}/API_DeleteFunction.html")
def test_latest_is_deleted_with_its_function_only(functions: Functions) -> None:
    functions.make("whole", saying("one"), Publish=True)
    functions.client.create_alias(FunctionName="whole", Name="A", FunctionVersion="1")
    for qualifier in ("$LATEST", "A"):
        code, _ = functions.refused("delete_function", FunctionName="whole", Qualifier=qualifier)
        assert code == "InvalidParameterValueException"
    functions.client.delete_function(FunctionName="whole")
    functions.make("whole", saying("again"), Publish=True)
    assert functions.client.list_aliases(FunctionName="whole")["Aliases"] == []
    assert functions.invoke("whole:1")[1] == "again"


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"
)
def test_a_policy_is_of_a_function_a_version_or_an_alias(functions: Functions) -> None:
    client = functions.client
    functions.make("shared", saying("one"), Publish=True)
    client.create_alias(FunctionName="shared", Name="A", FunctionVersion="1")
    permission = {
        "FunctionName": "shared",
        "StatementId": "s3",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::bucket",
        "SourceAccount": ACCOUNT,
    }
    for qualifier, arn in (({}, ""), ({"Qualifier": "A"}, ":A"), ({"Qualifier": "1"}, ":1")):
        told = json.loads(client.add_permission(**permission, **qualifier)["Statement"])
        assert told == {
            "Sid": "s3",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": f"{ARN}:shared{arn}",
            "Condition": {
                "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"},
                "StringEquals": {"AWS:SourceAccount": ACCOUNT},
            },
        }
        policy = client.get_policy(FunctionName="shared", **qualifier)
        assert json.loads(policy["Policy"])["Statement"] == [told]
        code, _ = functions.refused("add_permission", **permission, **qualifier)
        assert code == "ResourceConflictException"
    code, _ = functions.refused("add_permission", **permission, Qualifier="$LATEST")
    assert code == "InvalidParameterValueException"
    code, _ = functions.refused(
        "remove_permission", FunctionName="shared", StatementId="s3", RevisionId="other"
    )
    assert code == "PreconditionFailedException"
    client.remove_permission(FunctionName="shared", StatementId="s3", Qualifier="A")
    code, _ = functions.refused("get_policy", FunctionName="shared", Qualifier="A")
    assert code == "ResourceNotFoundException"
    assert client.get_policy(FunctionName="shared")["Policy"]
    code, _ = functions.refused("remove_permission", FunctionName="shared", StatementId="none")
    assert code == "ResourceNotFoundException"


@pytest.mark.aws_documented("https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html")
def test_a_function_is_pending_before_it_is_active(functions: Functions) -> None:
    client = functions.client
    made = functions.make("states", saying("one"))
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    client.get_waiter("function_active_v2").wait(FunctionName="states")
    client.get_waiter("function_exists").wait(FunctionName="states")
    changed = client.update_function_configuration(FunctionName="states", Timeout=4)
    assert changed["LastUpdateStatus"] == "InProgress"
    client.get_waiter("function_updated_v2").wait(FunctionName="states")
    published = client.publish_version(FunctionName="states")["Version"]
    client.get_waiter("published_version_active").wait(FunctionName="states", Qualifier=published)
    shown = client.get_function_configuration(FunctionName="states")
    assert (shown["State"], shown["LastUpdateStatus"]) == ("Active", "Successful")
    assert shown["RuntimeVersionConfig"]["RuntimeVersionArn"].startswith("arn:aws:lambda:")


@pytest.mark.botocore_modelled
def test_every_setting_of_a_function_comes_back(cloud: TestCloud, functions: Functions) -> None:
    dead = f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead-letters"
    settings = {
        "Description": "a function",
        "Timeout": 9,
        "MemorySize": 512,
        "Architectures": ["arm64"],
        "EphemeralStorage": {"Size": 1024},
        "TracingConfig": {"Mode": "Active"},
        "DeadLetterConfig": {"TargetArn": dead},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/mine"},
        "Environment": {"Variables": {"KEY": "value"}},
        "KMSKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k",
    }
    made = functions.make("settings", saying("one"), Tags={"a": "b"}, **settings)
    shown = functions.client.get_function(FunctionName="settings")
    for name, value in settings.items():
        assert made[name] == value
        assert shown["Configuration"][name] == value
    assert shown["Tags"] == {"a": "b"}
    changes = {
        "Description": "",
        "EphemeralStorage": {"Size": 512},
        "TracingConfig": {"Mode": "PassThrough"},
        "DeadLetterConfig": {"TargetArn": dead.replace("sqs", "sns")},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/other"},
        "Environment": {"Variables": {"OTHER": "value"}},
    }
    functions.client.update_function_configuration(FunctionName="settings", **changes)
    functions.change("settings", saying("two"), Architectures=["x86_64"])
    later = functions.client.get_function_configuration(FunctionName="settings")
    for name, value in (changes | {"Architectures": ["x86_64"], "Timeout": 9}).items():
        assert later[name] == value
    functions.client.update_function_configuration(
        FunctionName="settings", DeadLetterConfig={"TargetArn": ""}, Environment={"Variables": {}}
    )
    later = functions.client.get_function_configuration(FunctionName="settings")
    assert "DeadLetterConfig" not in later
    assert "Environment" not in later


@pytest.mark.aws_documented(f"{API}/API_UpdateFunctionConfiguration.html")
def test_an_update_that_is_refused_changes_nothing(functions: Functions) -> None:
    functions.make("steady", saying("one"))
    before = functions.client.get_function_configuration(FunctionName="steady")
    for settings in (
        {"Timeout": 9, "Layers": [f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:none:1"]},
        {"Timeout": 9, "MemorySize": 10241},
        {"Timeout": 9, "Runtime": "ruby3.4"},
        {"Timeout": 9, "Role": f"arn:aws:iam::{ACCOUNT}:role/nobody"},
        {"Timeout": 9, "Environment": {"Variables": {"AWS_REGION": "x"}}},
    ):
        functions.refused("update_function_configuration", FunctionName="steady", **settings)
    functions.refused("update_function_code", FunctionName="steady", ZipFile=b"no zip")
    functions.refused("update_function_configuration", FunctionName="steady:1", Timeout=9)
    after = functions.client.get_function_configuration(FunctionName="steady")
    assert after | {"ResponseMetadata": {}} == before | {"ResponseMetadata": {}}
    assert functions.invoke("steady")[1] == "one"


@pytest.mark.emulator_only
def test_versions_and_aliases_outlive_a_restart(tmp_path: Path) -> None:
    if configured_url() is not None:
        pytest.skip("another endpoint is not ours to restart")
    with local_cloud(state_dir=tmp_path) as first:
        functions = Functions(first)
        functions.make("lasting", saying("one"), Publish=True)
        functions.change("lasting", saying("two"))
        functions.client.create_alias(FunctionName="lasting", Name="A", FunctionVersion="1")
        before = functions.client.get_function_configuration(FunctionName="lasting:A")
    with local_cloud(state_dir=tmp_path) as second:
        functions = Functions(second)
        after = functions.client.get_function_configuration(FunctionName="lasting:A")
        assert after | {"ResponseMetadata": {}} == before | {"ResponseMetadata": {}}
        assert functions.invoke("lasting:A")[1] == "one"
        assert functions.invoke("lasting")[1] == "two"
        assert functions.client.publish_version(FunctionName="lasting")["Version"] == "2"


@pytest.mark.aws_documented(f"{API}/API_CreateFunction.html")
@pytest.mark.parametrize(
    ("settings", "code", "part"),
    [
        ({"Timeout": 901}, "ValidationException", "less than or equal to 900"),
        ({"MemorySize": 10241}, "ValidationException", "less than or equal to 10240"),
        ({"Runtime": "python2.7"}, "InvalidParameterValueException", "no longer supported"),
        ({"Runtime": "nodejs20.x"}, "InvalidParameterValueException", "runs Python functions only"),
        (
            {"Environment": {"Variables": {"AWS_REGION": "x"}}},
            "InvalidParameterValueException",
            "Reserved keys used in this request: AWS_REGION",
        ),
        (
            {"Environment": {"Variables": {"BIG": "x" * 4097}}},
            "InvalidParameterValueException",
            "exceeded the 4KB limit",
        ),
        (
            {"DeadLetterConfig": {"TargetArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"}},
            "InvalidParameterValueException",
            "DeadLetterConfig",
        ),
        (
            {"Layers": [f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:none:1"]},
            "ResourceNotFoundException",
            "layer:none:1",
        ),
        (
            {"Code": {"S3Bucket": "no-such-bucket-here", "S3Key": "k"}},
            "InvalidParameterValueException",
            "S3 Error Code: NoSuchBucket",
        ),
        ({"Code": {}}, "InvalidParameterValueException", "source for function code"),
        (
            {"Code": {"ImageUri": "1.dkr.ecr.us-east-1.amazonaws.com/x"}, "PackageType": "Image"},
            "InvalidParameterValueException",
            "container images",
        ),
        (
            {"Role": f"arn:aws:iam::{ACCOUNT}:role/nobody"},
            "InvalidParameterValueException",
            "cannot be assumed by Lambda",
        ),
        (
            {
                "FileSystemConfigs": [
                    {
                        "Arn": "arn:aws:elasticfilesystem:us-east-1:123456789012:"
                        "access-point/fsap-00000000000000000",
                        "LocalMountPath": "/mnt/x",
                    }
                ]
            },
            "InvalidParameterValueException",
            "FileSystemConfigs",
        ),
        ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "InvalidParameterValueException", "Snap"),
        ({"FunctionName": "x" * 65}, "ValidationException", "less than or equal to 64"),
    ],
)
def test_a_function_that_cannot_be_is_refused_before_it_is_made(
    functions: Functions, settings: dict[str, Any], code: str, part: str
) -> None:
    with pytest.raises(ClientError) as caught:
        functions.make("impossible", saying("one"), **settings)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert part in error["Message"]
    assert functions.refused("get_function", FunctionName="impossible")[0] == (
        "ResourceNotFoundException"
    )


@pytest.mark.aws_documented(f"{API}/API_ListFunctions.html")
def test_functions_versions_and_aliases_come_in_pages(functions: Functions) -> None:
    client = functions.client
    for n in range(5):
        functions.make(f"pages-{n}", saying("one"))
    for n in range(4):
        functions.change("pages-0", saying(str(n)), Publish=True)
        client.create_alias(FunctionName="pages-0", Name=f"a{n}", FunctionVersion=str(n + 1))
    for operation, member, parameters in (
        ("list_functions", "Functions", {}),
        ("list_functions", "Functions", {"FunctionVersion": "ALL"}),
        ("list_versions_by_function", "Versions", {"FunctionName": "pages-0"}),
        ("list_aliases", "Aliases", {"FunctionName": "pages-0"}),
    ):
        call = getattr(client, operation)
        whole = call(**parameters)[member]
        assert len(whole) >= 4
        pages = [call(MaxItems=2, **parameters)]
        while "NextMarker" in pages[-1]:
            pages.append(call(MaxItems=2, Marker=pages[-1]["NextMarker"], **parameters))
        assert {len(page[member]) for page in pages[:-1]} == {2}
        assert [each for page in pages for each in page[member]] == whole
        code, _ = functions.refused(operation, Marker="made-up", **parameters)
        assert code == "InvalidParameterValueException"


@pytest.mark.aws_documented("https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html")
def test_a_layer_is_on_the_path_of_the_handler(functions: Functions) -> None:
    client = functions.client
    layer = client.publish_layer_version(
        LayerName="words", Content={"ZipFile": zip_of({"python/words.py": "WORD = 'layered'\n"})}
    )
    code = "import words\ndef handler(event, context):\n    return words.WORD\n"
    made = functions.make("layered", code, Layers=[layer["LayerVersionArn"]])
    assert made["Layers"][0]["Arn"] == layer["LayerVersionArn"]
    assert functions.invoke("layered")[1] == "layered"
    client.delete_layer_version(LayerName="words", VersionNumber=layer["Version"])
