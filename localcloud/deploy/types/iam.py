"""IAM: roles and their policies."""

from __future__ import annotations

from localcloud.deploy.types.base import (
    NAME,
    Aws,
    Inputs,
    Outputs,
    ResourceType,
    put,
    tag_list,
)


def _create_role(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    optional = {k: inputs[k] for k in ("description", "path", "maxSessionDuration") if k in inputs}
    answer = aws.call(
        "iam",
        "create_role",
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Tags=tag_list(inputs),
        **{key[0].upper() + key[1:]: value for key, value in optional.items()},
    )
    role = answer["Role"]
    return inputs["name"], {**inputs, "arn": role["Arn"], "uniqueId": role["RoleId"]}


def _update_role(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    aws.call(
        "iam",
        "update_assume_role_policy",
        RoleName=id_,
        PolicyDocument=inputs["assumeRolePolicy"],
    )
    aws.call("iam", "update_role", RoleName=id_, Description=inputs.get("description", ""))
    if inputs.get("tags"):
        aws.call("iam", "tag_role", RoleName=id_, Tags=tag_list(inputs))
    return {**outputs, **inputs}


def _delete_role(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("iam", "delete_role", RoleName=id_)


TYPES: dict[str, ResourceType] = {
    "aws:iam/role:Role": ResourceType(_create_role, _delete_role, _update_role, NAME),
    "aws:iam/rolePolicy:RolePolicy": put(
        "iam",
        "put_role_policy",
        lambda i: {
            "RoleName": i["role"],
            "PolicyName": i["name"],
            "PolicyDocument": i["policy"],
        },
        lambda i: f"{i['role']}:{i['name']}",
        delete="delete_role_policy",
        delete_parameters=lambda o: {"RoleName": o["role"], "PolicyName": o["name"]},
        replaced_by=frozenset({"role", "name"}),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": put(
        "iam",
        "attach_role_policy",
        lambda i: {"RoleName": i["role"], "PolicyArn": i["policyArn"]},
        lambda i: f"{i['role']}-{i['policyArn']}",
        delete="detach_role_policy",
        delete_parameters=lambda o: {"RoleName": o["role"], "PolicyArn": o["policyArn"]},
        replaced_by=frozenset({"role", "policyArn"}),
    ),
}
