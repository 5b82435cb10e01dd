"""Variables, ParameterOverrides and the rules of a declaration."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.aws.errors import AwsError
from localcloud.codepipeline.declaration import check_declaration
from localcloud.codepipeline.model import Artifact
from localcloud.codepipeline.variables import VariableError, parameter_overrides, resolve
from tests.examples import examples

variables = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html"
)
overrides = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html"
)
structure = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html"
)

KNOWN = {
    "Source": {"VersionId": "v1", "ETag": "e"},
    "codepipeline": {"PipelineExecutionId": "1234"},
}
ARTIFACTS = {"Template": Artifact("bucket", "path/template.zip"), "Model": Artifact("b", "k")}
FILES = {
    ("Model", "model.json"): json.dumps({"ModelDataUrl": "s3://b/m.tar.gz", "Count": 2}).encode(),
    ("Model", "list.json"): b"[]",
    ("Model", "broken.json"): b"{",
}


def read(artifact: str, name: str) -> bytes:
    return FILES[artifact, name]


def overridden(document: Any) -> dict[str, str]:
    text = document if isinstance(document, str) else json.dumps(document)
    return parameter_overrides(text, ARTIFACTS, read)


@variables
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("#{Source.VersionId}", "v1"),
        ("a-#{Source.ETag}-#{codepipeline.PipelineExecutionId}", "a-e-1234"),
        ("#{not a reference} ${Source.ETag} #{}", "#{not a reference} ${Source.ETag} #{}"),
    ],
)
def test_references_are_replaced_and_nothing_else(text: str, expected: str) -> None:
    assert expected == resolve(text, KNOWN)


@variables
def test_a_value_that_looks_like_a_reference_is_not_resolved_again() -> None:
    assert "#{Source.ETag}" == resolve("#{a.b}", {"a": {"b": "#{Source.ETag}"}, **KNOWN})


@variables
@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("#{Sauce.ETag}", ["#{Sauce.ETag}", "Source, codepipeline"]),
        ("#{Source.Etag}", ["Source", "Etag", "ETag, VersionId"]),
    ],
)
def test_an_unknown_reference_is_named_with_what_there_is(text: str, parts: list[str]) -> None:
    with pytest.raises(VariableError) as caught:
        resolve(text, KNOWN)
    assert [] == [part for part in parts if part not in str(caught.value)]


@variables
@settings(max_examples=examples(100))
@given(st.text(st.characters(exclude_characters="#")))
def test_text_without_a_reference_stays_itself(text: str) -> None:
    assert text == resolve(text, {})


@overrides
def test_functions_read_an_artifacts_file_and_its_place() -> None:
    values = overridden(
        {
            "Plain": "x",
            "Url": {"Fn::GetParam": ["Model", "model.json", "ModelDataUrl"]},
            "Count": {"Fn::GetParam": ["Model", "model.json", "Count"]},
            "Bucket": {"Fn::GetArtifactAtt": ["Template", "BucketName"]},
            "Key": {"Fn::GetArtifactAtt": ["Template", "ObjectKey"]},
            "Link": {"Fn::GetArtifactAtt": ["Template", "URL"]},
        }
    )
    expected = {
        "Plain": "x",
        "Url": "s3://b/m.tar.gz",
        "Count": "2",
        "Bucket": "bucket",
        "Key": "path/template.zip",
        "Link": "https://s3.amazonaws.com/bucket/path/template.zip",
    }
    assert expected == values


@overrides
@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ({"a": 1}, "1 is neither"),
        ({"a": {"Ref": "b"}}, "Ref"),
        ({"a": {"Fn::GetParam": ["Model", "model.json"]}}, "Fn::GetParam"),
        ({"a": {"Fn::GetParam": ["Model", "model.json", "Nope"]}}, "no key Nope"),
        ({"a": {"Fn::GetParam": ["Model", "list.json", "x"]}}, "list.json"),
        ({"a": {"Fn::GetParam": ["Model", "broken.json", "x"]}}, "broken.json of Model"),
        ({"a": {"Fn::GetArtifactAtt": ["Nope", "URL"]}}, "the artifact Nope does not exist"),
        ({"a": {"Fn::GetArtifactAtt": ["Model", "Size"]}}, "Size"),
    ],
)
def test_bad_overrides_are_refused_by_name(document: Any, names: str) -> None:
    with pytest.raises(VariableError, match=names):
        overridden(document)


@overrides
def test_overrides_hold_at_most_one_kilobyte() -> None:
    room = 1024 - len(json.dumps({"a": ""}))
    assert {"a": "x" * room} == overridden({"a": "x" * room})
    with pytest.raises(VariableError, match="has 1025 bytes; at most 1024"):
        overridden({"a": "x" * (room + 1)})


def action(
    name: str, category: str, provider: str, order: int = 1, takes: str = "", makes: str = ""
) -> dict[str, Any]:
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    configurations = {
        "S3": {"S3Bucket": "b", "S3ObjectKey": "k"},
        "Lambda": {"FunctionName": "f"},
    }
    return {
        "name": name,
        "actionTypeId": kind,
        "configuration": configurations.get(provider, {}),
        "runOrder": order,
        "inputArtifacts": [{"name": takes}] if takes else [],
        "outputArtifacts": [{"name": makes}] if makes else [],
    }


def pipeline(*stages: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "artifactStore": {"type": "S3", "location": "b"},
        "stages": [{"name": f"S{index}", "actions": list(x)} for index, x in enumerate(stages)],
    }


SOURCE = action("Get", "Source", "S3", makes="Data")
TRAIN = action("Train", "Invoke", "Lambda", takes="Data", makes="Model")


@structure
def test_a_sound_declaration_passes() -> None:
    check_declaration(
        pipeline([SOURCE], [TRAIN, action("Use", "Invoke", "Lambda", 2, takes="Model")])
    )


@structure
@pytest.mark.parametrize(
    ("declaration", "code", "names"),
    [
        ({"stages": []}, "InvalidStructureException", "artifactStore"),
        (pipeline([SOURCE]), "InvalidStructureException", "1 stage"),
        (
            {"artifactStore": {}, "stages": [{"name": "A", "actions": []}] * 2},
            "InvalidStageDeclarationException",
            "repeated: A",
        ),
        (pipeline([SOURCE], [TRAIN, TRAIN]), "InvalidActionDeclarationException", "Train is rep"),
        (
            pipeline([TRAIN], [TRAIN]),
            "InvalidActionDeclarationException",
            "S0/Train: Source actions belong",
        ),
        (
            pipeline([SOURCE], [SOURCE]),
            "InvalidActionDeclarationException",
            "S1/Get: Source actions belong",
        ),
        (
            pipeline([SOURCE], [action("Use", "Invoke", "Lambda", takes="Nope")]),
            "InvalidActionDeclarationException",
            "no earlier action produces its input Nope",
        ),
        (
            pipeline([SOURCE], [action("Use", "Invoke", "Lambda", makes="Data")]),
            "InvalidActionDeclarationException",
            "the output Data is produced twice",
        ),
        (
            pipeline([SOURCE], [action("Go", "Build", "Jenkins")]),
            "InvalidActionDeclarationException",
            "does not support Build actions of Jenkins",
        ),
    ],
)
def test_a_declaration_that_cannot_run_is_refused(
    declaration: dict[str, Any], code: str, names: str
) -> None:
    with pytest.raises(AwsError, match=names) as caught:
        check_declaration(declaration)
    assert code == caught.value.code


@structure
def test_an_artifact_of_a_later_run_order_cannot_be_an_input() -> None:
    late = action("Train", "Invoke", "Lambda", 2, takes="Data", makes="Model")
    early = action("Use", "Invoke", "Lambda", 1, takes="Model")
    with pytest.raises(AwsError, match="no earlier action produces its input Model"):
        check_declaration(pipeline([SOURCE], [late, early]))


@structure
def test_an_artifact_of_the_same_run_order_cannot_be_an_input() -> None:
    use = action("Use", "Invoke", "Lambda", takes="Model")
    with pytest.raises(AwsError, match="no earlier action produces its input Model"):
        check_declaration(pipeline([SOURCE], [TRAIN, use]))


def problems(*actions: dict[str, Any], **more: Any) -> str:
    """Return why a pipeline with these actions after its source is refused."""
    with pytest.raises(AwsError) as caught:
        check_declaration({**pipeline([{**SOURCE, "namespace": "Source"}], [*actions]), **more})
    assert caught.value.code == "InvalidActionDeclarationException"
    return caught.value.message


def invoke(name: str = "Use", order: int = 1, **more: Any) -> dict[str, Any]:
    return {**action(name, "Invoke", "Lambda", order), **more}


# Source: https://github.com/aws/aws-cdk/issues/6111
@structure
def test_a_namespace_belongs_to_one_action() -> None:
    assert problems(invoke(namespace="Source")) == (
        "Namespaces must be unique across the pipeline definition. The following occur more than "
        "once in the pipeline. StageName=[S1], ActionName=[Use], Namespace=[Source]."
    )
    twice = problems(invoke("A", namespace="n"), invoke("B", namespace="n"))
    assert "ActionName=[B], Namespace=[n]" in twice
    assert "Namespace=[codepipeline]" in problems(invoke(namespace="codepipeline"))


# Source: https://github.com/hashicorp/terraform-provider-aws/issues/20742
@structure
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            invoke(configuration={"FunctionName": "f", "Function": "g"}),
            "Action configuration for action 'Use' contains unknown configuration 'Function'.",
        ),
        (
            invoke(configuration={"UserParameters": "x"}),
            "Action configuration for action 'Use' is missing required configuration "
            "'FunctionName'.",
        ),
        (
            action("Build", "Build", "CodeBuild", takes="Data")
            | {"configuration": {"ProjectName": "p", "BatchEnabled": "true"}},
            "Action configuration for action 'Build': the local cloud does not support "
            "BatchEnabled 'true'; leave it out, or give false.",
        ),
        (
            action("Build", "Build", "CodeBuild") | {"configuration": {"ProjectName": "p"}},
            "Action 'Build' has 0 input artifact(s); an action of CodeBuild has 1 to 1.",
        ),
        (
            action("Ask", "Approval", "Manual", makes="Answer"),
            "Action 'Ask' has 1 output artifact(s); an action of Manual has 0 to 0.",
        ),
    ],
)
def test_a_configuration_has_the_keys_of_its_action(wrong: dict[str, Any], said: str) -> None:
    assert problems(wrong) == said


@structure
def test_a_key_that_changes_nothing_is_taken() -> None:
    build = action("Build", "Build", "CodeBuild", takes="Data")
    build["configuration"] = {
        "ProjectName": "p",
        "PrimarySource": "Data",
        "BatchEnabled": "false",
        "CombineArtifacts": "false",
    }
    check_declaration(pipeline([SOURCE], [build]))


@variables
def test_a_variable_has_to_be_one_of_an_earlier_action() -> None:
    def using(text: str, **more: Any) -> dict[str, Any]:
        return invoke(configuration={"FunctionName": "f", "UserParameters": text}, **more)

    declared = {"variables": [{"name": "region"}], "pipelineType": "V2"}
    fine = using("#{Source.VersionId} #{codepipeline.PipelineExecutionId} #{variables.region}")
    source = {**SOURCE, "namespace": "Source"}
    check_declaration({**pipeline([source], [fine]), **declared})
    late = using("#{Late.x}")
    assert problems(late, invoke("Late", 2, namespace="Late")) == (
        "The following pipeline execution variables are referencing a namespace that no earlier "
        "action has. StageName=[S1], ActionName=[Use], ActionConfigurationKey=[UserParameters], "
        "VariableReference=[#{Late.x}]."
    )
    check_declaration(
        pipeline([source], [using("#{Early.x}", runOrder=2), invoke("Early", namespace="Early")])
    )
    unknown = problems(using("#{variables.other}"), **declared)
    assert "The namespace variables has no variable other; its variables are: region." in unknown
    assert "has no variable Id; its variables are: Pipeline" in problems(
        using("#{codepipeline.Id}")
    )
