"""IAM: roles and their policies."""

from __future__ import annotations

from localcloud.deploy.reading import Terms
from localcloud.deploy.types.base import (
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    delete_by_id,
    fields,
    made,
    only,
    put,
    split_id,
    tag_list,
    tags_of,
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


def _find_role(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    found = aws.ask("iam", "get_role", RoleName=id_)["role"]
    boundary = found.get("permissionsBoundary") or {}
    inputs = {
        "name": id_,
        "assumeRolePolicy": found["assumeRolePolicyDocument"],
        **only(found, ("description", "path", "maxSessionDuration")),
        "permissionsBoundary": boundary.get("permissionsBoundaryArn"),
        "tags": tags_of(aws.ask("iam", "list_role_tags", RoleName=id_).get("tags")),
    }
    return inputs, {"arn": found["arn"], "uniqueId": found["roleId"]}


def _find_policy(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    role, name = split_id(id_, ":", "ROLE:NAME")
    found = aws.ask("iam", "get_role_policy", RoleName=role, PolicyName=name)
    return {"role": role, "name": name, "policy": found["policyDocument"]}, {}


def _find_attachment(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    role, arn = known.get("role"), known.get("policyArn")
    if not role or not arn:
        role, arn = split_id(id_, "/", "ROLE/ARN")
    answer = aws.ask("iam", "list_attached_role_policies", RoleName=role)
    attached = {policy["policyArn"] for policy in answer["attachedPolicies"]}
    return ({"role": role, "policyArn": arn}, {}) if arn in attached else None


TYPES: dict[str, ResourceType] = {
    "aws:iam/role:Role": ResourceType(
        _create_role,
        delete_by_id("iam", "delete_role", "RoleName"),
        _update_role,
        fields("name path"),
        fields("name assumeRolePolicy tags " + " ".join(_OPTIONAL)),
        fields("name"),
        reader=Reader(_find_role, Terms({"path": "/", "maxSessionDuration": 3600})),
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
        find=_find_policy,
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
        find=_find_attachment,
    ),
}
