"""The image's build: from a push to a digest that training reads."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator

from tests.unit.components.recording import (
    ACCOUNT,
    REGION,
    ROOT,
    Recording,
    record,
    recorded,
)

PIPELINE = "aws:codepipeline/pipeline:Pipeline"
PROJECT = "aws:codebuild/project:Project"
BUILDSPEC: dict[str, Any] = yaml.safe_load((ROOT / "model" / "buildspec.yml").read_text())
COMMANDS = [c for phase in BUILDSPEC["phases"].values() for c in phase["commands"]]


def model_errors(service: str, operation: str, parameters: dict[str, Any]) -> str:
    model = botocore.session.get_session().get_service_model(service)
    shape = model.operation_model(operation).input_shape
    report: str = ParamValidator().validate(parameters, shape).generate_report()
    return report


def actions(recording: Recording | None = None) -> list[dict[str, Any]]:
    stages = (recording or recorded("dev")).one(PIPELINE, "image-build-pipeline").inputs["stages"]
    return [action for stage in stages for action in stage["actions"]]


def source_permissions(recording: Recording) -> list[dict[str, Any]]:
    """Return the statements of the image's pipeline on its source."""
    policy = recording.one("aws:iam/rolePolicy:RolePolicy", "image-build-pipeline-policy")
    statements = json.loads(policy.inputs["policy"])["Statement"]
    return [s for s in statements if re.match("code(commit|connections):", s["Action"][0])]


CONNECTION = f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/" + "-".join(
    ("01234567", "89ab", "cdef", "0123", "456789abcdef")
)


@cache
def connected() -> Recording:
    """Return the dev stack whose source is behind a connection."""
    settings = {"sourceRepository": "acme/iris", "sourceConnectionArn": CONNECTION}
    return record("dev", {**settings, "sourceBranch": "release/2"})


def test_a_repository_behind_a_connection_takes_codecommits_place() -> None:
    assert actions(connected())[0]["provider"] == "CodeStarSourceConnection"
    assert actions(connected())[0]["configuration"] == {
        "ConnectionArn": CONNECTION,
        "FullRepositoryId": "acme/iris",
        "BranchName": "release/2",
        "DetectChanges": "true",
        "OutputArtifactFormat": "CODE_ZIP",
    }
    assert connected().of("aws:codecommit/repository:Repository") == []
    # The connection's webhook starts the pipeline, so no event does.
    rules = [rule.name for rule in connected().of("aws:cloudwatch/eventRule:EventRule")]
    assert "source-pushed" not in rules
    assert "source-pushed" in [
        rule.name for rule in recorded("dev").of("aws:cloudwatch/eventRule:EventRule")
    ]
    assert connected().exports["sourceRepository"] == "acme/iris"
    assert "sourceCloneUrl" not in connected().exports


def test_a_pull_request_needs_the_approvals_that_the_settings_say() -> None:
    recording = record("dev", {"sourceApprovals": "2", "sourceBranch": "release/2"})
    rule = recording.one("aws:codecommit/approvalRuleTemplate:ApprovalRuleTemplate").inputs
    assert rule["name"] == "mlops-iris-model-source"
    assert json.loads(rule["content"]) == {
        "Version": "2018-11-08",
        "DestinationReferences": ["refs/heads/release/2"],
        "Statements": [{"Type": "Approvers", "NumberOfApprovalsNeeded": 2}],
    }
    association = recording.one(
        "aws:codecommit/approvalRuleTemplateAssociation:ApprovalRuleTemplateAssociation"
    )
    assert association.inputs == {
        "approvalRuleTemplateName": "mlops-iris-model-source",
        "repositoryName": "iris-model",
    }
    types = {registration.type for registration in recorded("dev").registrations}
    assert [type_ for type_ in types if "approvalRule" in type_] == []


def test_the_pipeline_may_use_its_connection_and_no_other() -> None:
    assert source_permissions(connected()) == [
        {
            "Effect": "Allow",
            "Action": ["codeconnections:UseConnection", "codestar-connections:UseConnection"],
            "Resource": [CONNECTION],
        }
    ]
    (repository,) = source_permissions(recorded("dev"))
    assert repository["Resource"] == [f"arn:aws:codecommit:{REGION}:{ACCOUNT}:iris-model"]


def test_a_push_starts_the_pipeline_and_nothing_polls() -> None:
    rule = recorded("dev").one("aws:cloudwatch/eventRule:EventRule", "source-pushed").inputs
    pattern = json.loads(rule["eventPattern"])
    assert pattern["resources"] == [f"arn:aws:codecommit:{REGION}:{ACCOUNT}:iris-model"]
    assert pattern["detail"]["referenceName"] == ["main"]
    target = recorded("dev").one("aws:cloudwatch/eventTarget:EventTarget", "source-pushed-target")
    assert target.inputs["arn"].endswith(":iris-model-image-pipeline")
    assert actions()[0]["configuration"] == {
        "RepositoryName": "iris-model",
        "BranchName": "main",
        "PollForSourceChanges": "false",
    }


def test_another_branch_is_followed_when_the_settings_say_so() -> None:
    other = record("dev", {"sourceBranch": "release/2"})
    rule = other.one("aws:cloudwatch/eventRule:EventRule", "source-pushed").inputs
    assert json.loads(rule["eventPattern"])["detail"]["referenceName"] == ["release/2"]


@pytest.mark.parametrize("program", [lambda: recorded("dev"), connected])
def test_codepipeline_accepts_the_stages(program: Callable[[], Recording]) -> None:
    stages = program().one(PIPELINE, "image-build-pipeline").inputs["stages"]
    declared = [
        {
            "name": stage["name"],
            "actions": [
                {
                    "name": a["name"],
                    "actionTypeId": {k: a[k] for k in ("category", "owner", "provider", "version")},
                    "configuration": a["configuration"],
                    "inputArtifacts": [{"name": n} for n in a.get("inputArtifacts") or []],
                    "outputArtifacts": [{"name": n} for n in a.get("outputArtifacts") or []],
                    "namespace": a["namespace"],
                }
                for a in stage["actions"]
            ],
        }
        for stage in stages
    ]
    pipeline = {
        "name": "iris-model-image-pipeline",
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/x",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "stages": declared,
    }
    assert model_errors("codepipeline", "CreatePipeline", {"pipeline": pipeline}) == ""


def test_codebuild_accepts_the_project_and_runs_docker() -> None:
    inputs = recorded("dev").one(PROJECT).inputs
    environment = dict(inputs["environment"])
    sent = {
        "name": inputs["name"],
        "serviceRole": inputs["serviceRole"],
        "timeoutInMinutes": int(inputs["buildTimeout"]),
        "source": inputs["source"],
        "artifacts": inputs["artifacts"],
        "environment": environment,
        "logsConfig": {
            "cloudWatchLogs": {
                "status": "ENABLED",
                "groupName": inputs["logsConfig"]["cloudwatchLogs"]["groupName"],
            }
        },
    }
    assert model_errors("codebuild", "CreateProject", sent) == ""
    assert environment["privilegedMode"] is True
    assert inputs["source"] == {"type": "CODEPIPELINE", "buildspec": "model/buildspec.yml"}
    assert (ROOT / inputs["source"]["buildspec"]).exists()


def test_the_buildspec_has_the_structure_that_codebuild_reads() -> None:
    assert BUILDSPEC["version"] == 0.2
    assert set(BUILDSPEC) <= {"version", "run-as", "env", "phases", "reports", "artifacts", "cache"}
    phases = ("install", "pre_build", "build", "post_build")
    assert [p for p in BUILDSPEC["phases"] if p not in phases] == []
    assert all(isinstance(command, str) for command in COMMANDS)
    assert BUILDSPEC["artifacts"]["files"] == ["image.json"]


def test_the_build_receives_every_variable_that_its_commands_read() -> None:
    given = {
        v["name"]
        for v in recorded("dev").one(PROJECT).inputs["environment"]["environmentVariables"]
    }
    text = "\n".join(COMMANDS)
    read = set(re.findall(r"\$\{?([A-Z][A-Z_0-9]+)", text))
    made = set(re.findall(r"^ *(?:for )?([A-Z_0-9]+)(?:=| in )", text, re.MULTILINE))
    codebuild = {name for name in read if name.startswith("CODEBUILD_")}
    assert read - made - codebuild == given


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("aws ecr get-login-password", "ecr:GetAuthorizationToken"),
        ("docker push", "ecr:PutImage"),
        ("aws ssm put-parameter", "ssm:PutParameter"),
    ],
)
def test_the_build_has_the_permissions_for_its_commands(command: str, action: str) -> None:
    assert command in "\n".join(COMMANDS)
    policy = recorded("dev").one("aws:iam/rolePolicy:RolePolicy", "image-build-project-policy")
    granted = [a for s in json.loads(policy.inputs["policy"])["Statement"] for a in s["Action"]]
    assert action in granted


SCAN = next(c for c in COMMANDS if "image-scan-complete" in c)
# Answers as the AWS CLI does: the number of findings of a severity, or None.
AWS = """#!/bin/bash
if [ "$2" = wait ]; then exit $WAIT_STATUS; fi
case "$*" in
  *CRITICAL*) echo $CRITICAL;;
  *HIGH*) echo $HIGH;;
  *MEDIUM*) echo None;;
  *) echo 0;;
esac
"""


def released(directory: Path, severity: str, **answers: str) -> tuple[int, str]:
    """Run the buildspec's command with these numbers of findings; return its status and error."""
    program = directory / "aws"
    program.write_text(AWS)
    program.chmod(0o755)
    variables = {"WAIT_STATUS": "0", "CRITICAL": "None", "HIGH": "None", **answers}
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{SCAN}"],
        env={
            **variables,
            "PATH": f"{directory}:{os.environ['PATH']}",
            "IMAGE_SCAN_SEVERITY": severity,
            "IMAGE_TAG": "tag",
            "IMAGE_REPOSITORY": "registry/iris-model",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("severity", "answers", "said"),
    [
        ("none", {"CRITICAL": "9", "WAIT_STATUS": "255"}, ""),
        ("CRITICAL", {"HIGH": "3"}, ""),
        ("LOW", {}, ""),
        ("HIGH", {"HIGH": "3"}, "The image has 3 findings of severity HIGH and is not released"),
        ("MEDIUM", {"CRITICAL": "1"}, "The image has 1 findings of severity CRITICAL"),
        ("CRITICAL", {"WAIT_STATUS": "255"}, "The scan of the image did not complete"),
    ],
)
def test_findings_of_the_severity_or_a_higher_one_stop_the_release(
    tmp_path: Path, severity: str, answers: dict[str, str], said: str
) -> None:
    status, error = released(tmp_path, severity, **answers)
    assert status == (1 if said else 0), error
    assert said in error
    # The release follows.
    assert COMMANDS.index(SCAN) < COMMANDS.index(
        next(c for c in COMMANDS if "ssm put-parameter" in c)
    )


def test_the_build_reads_findings_only_if_the_settings_say_so() -> None:
    for severity, expected in (("none", False), ("HIGH", True)):
        recording = record("dev", {"imageScanSeverity": severity})
        policy = recording.one("aws:iam/rolePolicy:RolePolicy", "image-build-project-policy")
        assert ("ecr:DescribeImageScanFindings" in policy.inputs["policy"]) is expected
        variables = recording.one(PROJECT).inputs["environment"]["environmentVariables"]
        assert {"name": "IMAGE_SCAN_SEVERITY", "value": severity} in variables


RELEASE = [c for c in COMMANDS if "ssm put-parameter" in c]
SAYS = """#!/bin/bash
echo "$@" >> "$LOG"
"""


def written(directory: Path, **variables: str) -> list[str]:
    """Run the buildspec's releases; return the parameters that they write, in order."""
    program, log = directory / "aws", directory / "log"
    program.write_text(SAYS)
    program.chmod(0o755)
    subprocess.run(
        ["bash", "-c", "set -euo pipefail\n" + "\n".join(RELEASE)],
        env={
            "PATH": f"{directory}:{os.environ['PATH']}",
            "LOG": str(log),
            "DIGEST": "amd",
            **variables,
        },
        check=True,
    )
    lines = log.read_text().splitlines() if log.exists() else []
    return [" ".join(line.split()[3:6:2]) for line in lines]


@pytest.mark.parametrize(
    ("parameter", "arm64", "expected"),
    [
        ("/image", "none", ["/image amd"]),
        ("/image", "arm", ["/image-arm64 arm", "/image amd"]),
        # The build for arm64 leaves the release to the other one.
        ("none", "none", []),
    ],
)
def test_one_build_releases_the_images_of_both_architectures(
    tmp_path: Path, parameter: str, arm64: str, expected: list[str]
) -> None:
    assert written(tmp_path, IMAGE_PARAMETER=parameter, ARM64_IMAGE=arm64) == expected


def test_an_image_for_arm64_is_built_first_and_released_with_the_other() -> None:
    recording = record("dev", {"arm64Image": "true"})
    assert [(a["name"], a.get("runOrder", 1)) for a in actions(recording)] == [
        ("Source", 1),
        ("BuildArm64", 1),
        ("Build", 2),
    ]
    assert actions(recording)[2]["configuration"] == {
        "ProjectName": "iris-model-image",
        "EnvironmentVariables": '[{"name":"ARM64_IMAGE","value":"#{BuildArm64.IMAGE_URI}"}]',
    }
    assert BUILDSPEC["env"]["exported-variables"] == ["IMAGE_URI"]
    environments = {p.inputs["name"]: p.inputs["environment"] for p in recording.of(PROJECT)}
    arm = environments["iris-model-image-arm64"]
    assert (arm["type"], "aarch64" in arm["image"]) == ("ARM_CONTAINER", True)
    given = {v["name"]: v["value"] for v in arm["environmentVariables"]}
    assert (given["IMAGE_ARCHITECTURE"], given["IMAGE_PARAMETER"]) == ("arm64", "none")
    parameters = [p.inputs["name"] for p in recording.of("aws:ssm/parameter:Parameter")]
    assert sorted(parameters) == ["/mlops/iris-model/image", "/mlops/iris-model/image-arm64"]
    for role, allowed in (("project", True), ("project-arm64", False)):
        policy = recording.one("aws:iam/rolePolicy:RolePolicy", f"image-build-{role}-policy")
        assert ("ssm:PutParameter" in policy.inputs["policy"]) is allowed
    train = recording.one(PIPELINE, "delivery").inputs["stages"][1]["actions"]
    (given,) = [a["configuration"]["UserParameters"] for a in train if a["name"] == "Train"]
    assert json.loads(given)["arm64Image"] is True


def test_image_tags_are_immutable_and_unique_for_each_build() -> None:
    repository = recorded("dev").one("aws:ecr/repository:Repository").inputs
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert any("CODEBUILD_BUILD_NUMBER" in command for command in COMMANDS)


def test_the_base_of_the_image_is_pinned_and_kept_up_to_date() -> None:
    lines = (ROOT / "model" / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert [b for b in bases if not re.fullmatch(r"\S+:[\w.-]+@sha256:[0-9a-f]{64}", b)] == []
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert ("docker", "/model") in [(u["package-ecosystem"], u["directory"]) for u in updates]


def test_training_reads_the_parameter_that_the_build_writes() -> None:
    parameter = recorded("dev").one("aws:ssm/parameter:Parameter")
    assert parameter.inputs["name"] == "/mlops/iris-model/image"
    # A deployment of the stack must not undo a release.
    assert parameter.ignore_changes == ("value",)
    written = {
        v["name"]: v["value"]
        for v in recorded("dev").one(PROJECT).inputs["environment"]["environmentVariables"]
    }
    assert written["IMAGE_PARAMETER"] == parameter.inputs["name"]
    train = recorded("dev").one(PIPELINE, "delivery").inputs["stages"][1]["actions"][0]
    parameters = json.loads(train["configuration"]["UserParameters"])
    assert parameters["imageParameter"] == parameter.inputs["name"]
    assert recorded("dev").exports["imageParameter"] == parameter.inputs["name"]


def test_a_failed_execution_of_either_pipeline_is_notified() -> None:
    rule = recorded("dev").one("aws:cloudwatch/eventRule:EventRule", "failure-notice-rule").inputs
    assert json.loads(rule["eventPattern"])["detail"] == {
        "pipeline": ["iris-model-pipeline", "iris-model-image-pipeline"],
        "state": ["FAILED"],
    }
    target = recorded("dev").one("aws:cloudwatch/eventTarget:EventTarget", "failure-notice-target")
    assert target.inputs["arn"].endswith(":iris-model-notifications-dev")
