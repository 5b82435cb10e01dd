"""IAM: roles and their policies."""

from __future__ import annotations

from localcloud.deploy.types.base import (
    Aws,
    Inputs,
    Outputs,
    ResourceType,
    delete_by_id,
    fields,
    made,
    put,
    tag_list,
    update_tags,
)

_OPTIONAL = ("description", "path", "maxSessionDuration", "permissionsBoundary")


def _create_role(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    optional = {key: inputs[key] for key in _OPTIONAL if inputs.get(key)}
    answer = aws.call(
        "iam",
        "create_role",
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Tags=tag_list(inputs),
        **optional,
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
    aws.call(
        "iam",
        "update_role",
        RoleName=id_,
        Description=inputs.get("description", ""),
        MaxSessionDuration=inputs.get("maxSessionDuration"),
    )
    boundary = inputs.get("permissionsBoundary")
    if boundary and boundary != outputs.get("permissionsBoundary"):
        aws.call("iam", "put_role_permissions_boundary", RoleName=id_, PermissionsBoundary=boundary)
    elif outputs.get("permissionsBoundary") and not boundary:
        aws.call("iam", "delete_role_permissions_boundary", RoleName=id_)
    update_tags(
        aws, "iam", outputs, inputs, of={"RoleName": id_}, operations=("tag_role", "untag_role")
    )
    return made(outputs, inputs, "arn", "uniqueId")


TYPES: dict[str, ResourceType] = {
    "aws:iam/role:Role": ResourceType(
        _create_role,
        delete_by_id("iam", "delete_role", "RoleName"),
        _update_role,
        fields("name path"),
        fields("name assumeRolePolicy tags " + " ".join(_OPTIONAL)),
        fields("name"),
    ),
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
        replace_on=fields("role name"),
        accepts="role name policy",
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": put(
        "iam",
        "attach_role_policy",
        lambda i: {"RoleName": i["role"], "PolicyArn": i["policyArn"]},
        lambda i: f"{i['role']}-{i['policyArn']}",
        delete="detach_role_policy",
        delete_parameters=lambda o: {"RoleName": o["role"], "PolicyArn": o["policyArn"]},
        replace_on=fields("role policyArn"),
        accepts="role policyArn",
    ),
}
