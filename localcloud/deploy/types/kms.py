"""KMS: keys and their aliases."""

from __future__ import annotations

from typing import Any

from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    NAME,
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    completing,
    delete_by_id,
    fields,
    made,
    tags_of,
    update_tags,
)

_DEFAULT_DELETION_WINDOW_DAYS = 30


def _tags(inputs: Inputs) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in (inputs.get("tags") or {}).items()]


def _create_key(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    metadata = aws.call(
        "kms",
        "create_key",
        Policy=inputs.get("policy"),
        Description=inputs.get("description"),
        KeyUsage=inputs.get("keyUsage"),
        KeySpec=inputs.get("customerMasterKeySpec"),
        MultiRegion=inputs.get("multiRegion"),
        Tags=_tags(inputs),
    )["KeyMetadata"]
    id_ = metadata["KeyId"]
    computed = {"arn": metadata["Arn"], "keyId": id_}
    with completing(id_, computed):
        _rotate(aws, id_, inputs)
        if inputs.get("isEnabled") is False:
            aws.call("kms", "disable_key", KeyId=id_)
    return id_, {**inputs, **computed}


def _rotate(aws: Aws, id_: str, inputs: Inputs) -> None:
    if inputs.get("enableKeyRotation"):
        aws.call(
            "kms",
            "enable_key_rotation",
            KeyId=id_,
            RotationPeriodInDays=inputs.get("rotationPeriodInDays"),
        )


def _update_key(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    if inputs.get("policy") and inputs["policy"] != outputs.get("policy"):
        aws.call("kms", "put_key_policy", KeyId=id_, PolicyName="default", Policy=inputs["policy"])
    aws.call("kms", "update_key_description", KeyId=id_, Description=inputs.get("description", ""))
    _rotate(aws, id_, inputs)
    if outputs.get("enableKeyRotation") and not inputs.get("enableKeyRotation"):
        aws.call("kms", "disable_key_rotation", KeyId=id_)
    enabled, was_enabled = (values.get("isEnabled") is not False for values in (inputs, outputs))
    if enabled != was_enabled:
        aws.call("kms", "enable_key" if enabled else "disable_key", KeyId=id_)
    update_tags(aws, "kms", outputs, inputs, of={"KeyId": id_}, form=_tags)
    return made(outputs, inputs, "arn", "keyId")


def _delete_key(aws: Aws, id_: str, outputs: Outputs) -> None:
    # AWS deletes a key after a waiting period of 7 to 30 days, in which this can be cancelled.
    days = outputs.get("deletionWindowInDays") or _DEFAULT_DELETION_WINDOW_DAYS
    aws.call("kms", "schedule_key_deletion", KeyId=id_, PendingWindowInDays=days)


def _find_key(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    del known
    found = aws.ask("kms", "describe_key", KeyId=id_)["keyMetadata"]
    if found["keyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
        return None  # as the provider has it: it is no longer this resource
    rotation = aws.ask("kms", "get_key_rotation_status", KeyId=id_)
    inputs = {
        "description": found.get("description"),
        "policy": aws.ask("kms", "get_key_policy", KeyId=id_, PolicyName="default")["policy"],
        "keyUsage": found["keyUsage"],
        "customerMasterKeySpec": found.get("keySpec") or found.get("customerMasterKeySpec"),
        "multiRegion": found.get("multiRegion"),
        "enableKeyRotation": rotation["keyRotationEnabled"],
        "rotationPeriodInDays": rotation.get("rotationPeriodInDays"),
        "isEnabled": found["enabled"],
        "tags": tags_of(aws.ask("kms", "list_resource_tags", KeyId=id_).get("tags")),
    }
    return inputs, {"arn": found["arn"], "keyId": id_}


def _find_alias(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    answer = aws.ask("kms", "list_aliases")
    found = next((alias for alias in answer["aliases"] if alias["aliasName"] == id_), None)
    if found is None:
        return None
    target, wanted = found["targetKeyId"], str(known.get("targetKeyId", ""))
    # A key's ARN means the same as its id.
    inputs = {"name": id_, "targetKeyId": wanted if wanted.endswith(f"/{target}") else target}
    computed = _alias_outputs(aws, inputs)
    return inputs, {key: computed[key] for key in ("arn", "targetKeyArn")}


def _create_alias(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    aws.call("kms", "create_alias", AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    return inputs["name"], _alias_outputs(aws, inputs)


def _update_alias(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del outputs
    aws.call("kms", "update_alias", AliasName=id_, TargetKeyId=inputs["targetKeyId"])
    return _alias_outputs(aws, inputs)


def _alias_outputs(aws: Aws, inputs: Inputs) -> Outputs:
    prefix = f"arn:aws:kms:{aws.region}:{aws.account}:"
    target: Any = inputs["targetKeyId"]
    return {
        **inputs,
        "arn": prefix + inputs["name"],
        "targetKeyArn": target if str(target).startswith("arn:") else f"{prefix}key/{target}",
    }


TYPES: dict[str, ResourceType] = {
    "aws:kms/key:Key": ResourceType(
        _create_key,
        _delete_key,
        _update_key,
        fields("keyUsage customerMasterKeySpec multiRegion"),
        fields(
            "description policy keyUsage customerMasterKeySpec multiRegion enableKeyRotation "
            "rotationPeriodInDays deletionWindowInDays isEnabled tags"
        ),
        reader=Reader(
            _find_key,
            Terms(
                {"isEnabled": True},
                fields("policy keyUsage customerMasterKeySpec multiRegion rotationPeriodInDays"),
                fields("deletionWindowInDays"),
            ),
        ),
    ),
    "aws:kms/alias:Alias": ResourceType(
        _create_alias,
        delete_by_id("kms", "delete_alias", "AliasName"),
        _update_alias,
        NAME,
        fields("name targetKeyId"),
        NAME,
        reader=Reader(_find_alias),
    ),
}
