"""The policy rules: both stacks pass each rule, and each rule detects a violation."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.instance_types import hosting_types
from policy.rules import BUCKET, INSTANCE_TYPES, KEY, REPOSITORY, RULES, UNTAGGED, Resource, Rule
from tests.unit.components.recording import (
    PRODUCTION_OUTPUTS,
    ROOT,
    Recording,
    record,
    recorded,
)

KMS = {"encryption": "aws:kms"}
KMS_OUTPUTS = {**PRODUCTION_OUTPUTS, "encryptionKeyArn": "arn:aws:kms:us-east-1:123456789012:key/p"}
PACK_PYTHON = ROOT / "policy" / ".venv" / "bin" / "python"


def resources(recording: Recording) -> list[Resource]:
    return [
        Resource(r.type, r.name, f"urn:{r.type}::{r.name}", r.inputs, r.protect)
        for r in recording.registrations
        if r.type.startswith(("aws:", "mlops:"))
    ]


def every_program() -> dict[str, list[Resource]]:
    everything = {"accessLogs": "true", "dataCapturePercent": "10", **KMS}
    return {
        "dev": resources(recorded("dev")),
        "prd": resources(recorded("prd")),
        "dev with everything": resources(record("dev", everything, production=KMS_OUTPUTS)),
        "prd with everything": resources(record("prd", everything)),
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_program_passes_the_rule(rule: Rule) -> None:
    broken = {name: list(rule.check(found)) for name, found in every_program().items()}
    assert {name: found for name, found in broken.items() if found} == {}


def with_properties(type_: str, **changes: Any) -> Callable[[Resource], Resource | None]:
    """Return a change of properties for the resources of a type; None removes a property."""

    def change(resource: Resource) -> Resource:
        if resource.type != type_:
            return resource
        merged = {**resource.properties, **changes}
        kept = {key: value for key, value in merged.items() if value is not None}
        return dataclasses.replace(resource, properties=kept)

    return change


def without(type_: str) -> Callable[[Resource], Resource | None]:
    return lambda resource: None if resource.type == type_ else resource


def role_policy(**statement: Any) -> Callable[[Resource], Resource | None]:
    granted = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:x"], **statement}
    return with_properties(
        "aws:iam/rolePolicy:RolePolicy", policy=json.dumps({"Statement": [granted]})
    )


def bucket_policy(*statements: dict[str, Any]) -> Callable[[Resource], Resource | None]:
    return with_properties(
        "aws:s3/bucketPolicy:BucketPolicy", policy=json.dumps({"Statement": list(statements)})
    )


TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
PIPELINE = "aws:codepipeline/pipeline:Pipeline"


def trained_on(instance_type: str) -> Callable[[Resource], Resource | None]:
    parameters = {"UserParameters": json.dumps({"instanceType": instance_type})}
    stages = [{"name": "Train", "actions": [{"name": "Train", "configuration": parameters}]}]
    return with_properties(PIPELINE, stages=stages)


def served_by(instance_type: str) -> Callable[[Resource], Resource | None]:
    config = {
        "Properties": {
            "ProductionVariants": [{"InstanceType": instance_type}],
            "Tags": [{"Key": "environment", "Value": "prd"}],
        }
    }
    text = json.dumps({"Resources": {"EndpointConfig": config}})
    # The wire format of an asset archive, which a policy pack receives.
    source = {"assets": {"template.json": {"text": text}}}
    return with_properties("aws:s3/bucketObjectv2:BucketObjectv2", source=source)


# (rule, stack, change that breaks the rule, part of the message)
VIOLATIONS = [
    ("encryption", "prd", without(ENCRYPTION), "encrypt the bucket"),
    ("encryption", "prd", with_properties(ENCRYPTION, rules=[]), "encrypt the bucket"),
    (
        "encryption",
        "dev",
        with_properties(REPOSITORY, encryptionConfigurations=None),
        "encryption configuration",
    ),
    (
        "encryption",
        "prd with everything",
        with_properties("aws:sns/topic:Topic", kmsMasterKeyId=None),
        "encrypt the topic",
    ),
    ("public-access", "dev", without(BLOCK), "block public access"),
    ("public-access", "dev", with_properties(BLOCK, blockPublicAcls=False), "block public access"),
    ("public-access", "dev", bucket_policy(), "without TLS"),
    (
        "public-access",
        "dev",
        bucket_policy(TLS_ONLY, {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}),
        "everyone",
    ),
    (
        "public-access",
        "dev",
        bucket_policy(TLS_ONLY, {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": "x"}),
        "everyone",
    ),
    ("wildcard-iam", "prd", role_policy(Action=["s3:*"]), "name each action instead of s3:*"),
    ("wildcard-iam", "prd", role_policy(Action="*"), "name each action instead of *"),
    ("wildcard-iam", "prd", role_policy(NotAction=["s3:x"], Action=None), "name each action"),
    ("wildcard-iam", "prd", role_policy(Resource="*"), "name the resources of s3:GetObject"),
    ("wildcard-iam", "prd", role_policy(Action="iam:PassRole"), "limit iam:PassRole"),
    ("tags", "prd", with_properties("aws:iam/role:Role", tags={}), "tag it with project, stack"),
    ("tags", "prd", with_properties("aws:iam/role:Role", tags=None), "tag it with project, stack"),
    (
        "tags",
        "dev",
        with_properties(PIPELINE, tags={"project": "x", "stack": "y", "owner": "z"}),
        "tag it with cost-centre",
    ),
    (
        "protected-production",
        "prd",
        lambda resource: dataclasses.replace(resource, protect=False),
        "protect it",
    ),
    ("instance-types", "dev", trained_on("ml.p4d.24xlarge"), "ml.p4d.24xlarge is not allowed"),
    ("instance-types", "prd", served_by("ml.t2.medium"), "ml.t2.medium is not allowed in prd"),
]


@pytest.mark.parametrize(
    ("name", "stack", "breaks", "said"), VIOLATIONS, ids=[f"{v[0]}: {v[3]}" for v in VIOLATIONS]
)
def test_a_violation_is_reported_with_its_fix(
    name: str, stack: str, breaks: Callable[[Resource], Resource | None], said: str
) -> None:
    (rule,) = [rule for rule in RULES if rule.name == name]
    changed = [breaks(resource) for resource in every_program()[stack]]
    violations = list(rule.check([resource for resource in changed if resource is not None]))
    assert [v for v in violations if said in v.message]


def test_every_rule_has_a_violation() -> None:
    assert {violation[0] for violation in VIOLATIONS} == {rule.name for rule in RULES}


def test_a_new_stacks_instances_are_judged_before_its_template_is_known() -> None:
    changed = record("prd", {"instanceType": "ml.p3.2xlarge"})
    # In the preview of a stack that does not exist the engine drops what is not known.
    preview = [
        dataclasses.replace(r, properties={k: v for k, v in r.properties.items() if k != "source"})
        for r in resources(changed)
    ]
    rule = next(rule for rule in RULES if rule.name == "instance-types")
    for found in (preview, resources(changed)):
        (violation,) = rule.check(found)
        assert "ml.p3.2xlarge is not allowed in prd" in violation.message
        assert "EndpointEnvironment" in violation.urn


def test_unknown_values_are_not_checked() -> None:
    unknown = Resource("aws:iam/rolePolicy:RolePolicy", "x", "urn:x", {"policy": None})
    assert [v for rule in RULES for v in rule.check([unknown])] == []


def test_only_the_untagged_types_have_no_tags_argument() -> None:
    """Pulumi's own classes show which types take tags."""
    made = {r.type for found in every_program().values() for r in found}
    types = {type_ for type_ in made if type_.startswith("aws:")}
    taking = {type_ for type_ in types if "tags" in _class_of(type_).__dict__}
    assert types - taking == types & UNTAGGED


def _class_of(type_: str) -> type[pulumi.CustomResource]:
    module = type_.split(":")[1].split("/")[0]
    package = {"lambda": aws.lambda_}.get(module) or getattr(aws, module)
    found: type[pulumi.CustomResource] = getattr(package, type_.split(":")[2])
    return found


def test_each_environment_has_its_instance_types() -> None:
    assert set(INSTANCE_TYPES) == {"dev", "prd"}
    assert INSTANCE_TYPES["dev"].fullmatch("ml.t2.medium")
    assert not INSTANCE_TYPES["prd"].fullmatch("ml.t2.medium")
    for environment in ("dev", "prd"):
        for family in ("m6g", "m8g", "c6g", "c7g", "c8g"):
            assert INSTANCE_TYPES[environment].fullmatch(f"ml.{family}.large")
            assert f"ml.{family}.large" in hosting_types()


def test_only_production_protects_its_buckets_and_keys() -> None:
    held = {
        name: {r.name: r.protect for r in found if r.type in (BUCKET, KEY, REPOSITORY)}
        for name, found in every_program().items()
    }
    assert set(held["prd with everything"]) == {
        "prd-capture",
        "prd-template",
        "protection-access-logs",
        "protection-key",
    }
    assert set(held["prd with everything"].values()) == {True}
    assert set(held["dev with everything"].values()) == {False}


@pytest.mark.skipif(not PACK_PYTHON.exists(), reason="`make policy-pack` creates its environment")
def test_the_policy_pack_reports_violations_through_pulumis_own_library() -> None:
    script = (
        "import runpy, sys; from types import SimpleNamespace as NS\n"
        f"pack = runpy.run_path({str(ROOT / 'policy' / '__main__.py')!r})\n"
        "bucket = NS(resource_type='aws:s3/bucket:Bucket', name='b', urn='urn:b',\n"
        "            props={'bucket': 'b'}, opts=NS(protect=False))\n"
        "for rule in pack['RULES']:\n"
        "    policy = pack['stack_policy'](rule)\n"
        "    policy.validate(NS(resources=[bucket]), lambda said, urn: print(policy.name, urn))\n"
    )
    answer = subprocess.run(
        [str(PACK_PYTHON), "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert sorted(set(answer.stdout.split("\n"))) == [
        "",
        "encryption urn:b",
        "public-access urn:b",
        "tags urn:b",
    ]


def test_the_rules_check_resources_from_standard_input() -> None:
    bucket = {"type": BUCKET, "name": "b", "urn": "urn:b", "properties": {"bucket": "b"}}
    answer = subprocess.run(
        [sys.executable, "-m", "policy.check"],
        input=json.dumps([bucket]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(answer.stdout)
    assert {violation["rule"] for violation in found} == {"encryption", "public-access", "tags"}
    assert {violation["urn"] for violation in found} == {"urn:b"}
