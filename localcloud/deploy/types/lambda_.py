"""Lambda: functions and the permissions to invoke them."""

from __future__ import annotations

import base64
import json
from typing import Any

from localcloud.deploy.archives import content_of
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
    only,
    put,
    split_id,
    tag_map,
    update_tags,
)

_OPTIONAL = (
    *("kmsKeyArn", "tracingConfig", "loggingConfig", "ephemeralStorage", "deadLetterConfig"),
    "vpcConfig",
)
# The values of settings that are taken away: UpdateFunctionConfiguration keeps what is not given.
_TAKEN_AWAY = {
    "tracingConfig": {"mode": "PassThrough"},
    "vpcConfig": {"subnetIds": [], "securityGroupIds": []},
}


def _function_configuration(inputs: Inputs) -> dict[str, Any]:
    wanted = {
        "FunctionName": inputs["name"],
        "Role": inputs["role"],
        "Handler": inputs["handler"],
        "Runtime": inputs["runtime"],
        "Timeout": inputs.get("timeout", 3),
        "MemorySize": inputs.get("memorySize", 128),
        "Environment": {"Variables": (inputs.get("environment") or {}).get("variables", {})},
        "Description": inputs.get("description", ""),
    }
    return {**wanted, **{key: inputs[key] for key in _OPTIONAL if inputs.get(key)}}


def _reserve(aws: Aws, inputs: Inputs, outputs: Outputs) -> None:
    """Reserve concurrency, or take the reservation away; a negative number reserves none."""
    key = "reservedConcurrentExecutions"
    wanted, before = inputs.get(key, -1), outputs.get(key, -1)
    if wanted == before:
        return
    if wanted < 0:
        aws.call("lambda", "delete_function_concurrency", FunctionName=inputs["name"])
    else:
        aws.call("lambda", "put_function_concurrency", FunctionName=inputs["name"], **{key: wanted})


def _create_function(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    answer = aws.call(
        "lambda",
        "create_function",
        Code={"ZipFile": content_of(inputs["code"])},
        Architectures=inputs.get("architectures"),
        Tags=inputs.get("tags") or {},
        **_function_configuration(inputs),
    )
    _reserve(aws, inputs, {})
    return inputs["name"], _function_outputs(aws, inputs, answer)


def _update_function(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    taken = {key: v for key, v in _TAKEN_AWAY.items() if outputs.get(key) and not inputs.get(key)}
    wanted = {**_function_configuration(inputs), **taken}
    aws.call("lambda", "update_function_configuration", **wanted)
    _reserve(aws, inputs, outputs)
    answer = aws.call(
        "lambda",
        "update_function_code",
        FunctionName=id_,
        ZipFile=content_of(inputs["code"]),
        Architectures=inputs.get("architectures") or ["x86_64"],
    )
    update_tags(aws, "lambda", outputs, inputs, of={"Resource": outputs["arn"]}, form=tag_map)
    return _function_outputs(aws, inputs, answer)


def _find_function(aws: Aws, id_: str, known: Inputs) -> Answer:
    answer = aws.ask("lambda", "get_function", FunctionName=id_)
    found = answer["configuration"]
    inputs = {
        "name": id_,
        **only(found, ("role", "handler", "runtime", "timeout", "memorySize", "description")),
        **only(found, ("architectures", *_OPTIONAL)),
        "environment": only(found.get("environment") or {}, ("variables",)),
        "tags": answer.get("tags"),
        **only(answer.get("concurrency") or {}, ("reservedConcurrentExecutions",)),
    }
    outputs = _function_outputs(aws, inputs, {"CodeSha256": found["codeSha256"]})
    # AWS returns the hash of the code, which says whether it is still what was deployed.
    if known.get("codeSha256") == found["codeSha256"] and "code" in known:
        inputs["code"] = known["code"]
    else:
        inputs["code"] = {"sha256": base64.b64decode(found["codeSha256"]).hex()}
    return inputs, {key: value for key, value in outputs.items() if key not in inputs}


def _find_permission(aws: Aws, id_: str, known: Inputs) -> Answer | None:
    function, statement_id = known.get("function"), id_
    if not function:
        function, statement_id = split_id(id_, "/", "FUNCTION/STATEMENT")
    text = aws.ask("lambda", "get_policy", FunctionName=function)["policy"]
    statements = json.loads(text)["Statement"]
    found = next((s for s in statements if s.get("Sid") == statement_id), None)
    if found is None:
        return None
    principal, condition = found["Principal"], found.get("Condition", {})
    inputs = {
        "function": function,
        "statementId": statement_id,
        "action": found["Action"],
        "principal": next(iter(principal.values())) if isinstance(principal, dict) else principal,
        "sourceArn": condition.get("ArnLike", {}).get("AWS:SourceArn"),
        "sourceAccount": condition.get("StringEquals", {}).get("AWS:SourceAccount"),
    }
    return inputs, {}


def _function_outputs(aws: Aws, inputs: Inputs, answer: dict[str, Any]) -> Outputs:
    arn = f"arn:aws:lambda:{aws.region}:{aws.account}:function:{inputs['name']}"
    kept = {key: value for key, value in inputs.items() if key != "code"}
    return {
        **kept,
        "arn": arn,
        "qualifiedArn": f"{arn}:$LATEST",
        "invokeArn": f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/functions/{arn}"
        "/invocations",
        "codeSha256": answer["CodeSha256"],
        "version": "$LATEST",
    }


TYPES: dict[str, ResourceType] = {
    "aws:lambda/function:Function": ResourceType(
        _create_function,
        delete_by_id("lambda", "delete_function", "FunctionName"),
        _update_function,
        fields("name"),
        fields(
            "name role handler runtime code timeout memorySize environment description "
            "architectures tags reservedConcurrentExecutions " + " ".join(_OPTIONAL)
        ),
        fields("name"),
        fields("codeSha256"),
        reader=Reader(
            _find_function,
            Terms(
                {
                    "timeout": 3,
                    "memorySize": 128,
                    "architectures": ["x86_64"],
                    "tracingConfig": {"mode": "PassThrough"},
                    "ephemeralStorage": {"size": 512},
                },
                fields("loggingConfig"),
            ),
        ),
    ),
    "aws:lambda/permission:Permission": put(
        "lambda",
        "add_permission",
        lambda i: {
            "FunctionName": i["function"],
            "StatementId": i["statementId"],
            "Action": i["action"],
            "Principal": i["principal"],
            "SourceArn": i.get("sourceArn"),
            "SourceAccount": i.get("sourceAccount"),
        },
        lambda i: str(i["statementId"]),
        delete="remove_permission",
        delete_parameters=lambda o: {
            "FunctionName": o["function"],
            "StatementId": o["statementId"],
        },
        replace_on=fields("function statementId action principal sourceArn sourceAccount"),
        accepts="function statementId action principal sourceArn sourceAccount",
        name_inputs="function statementId",
        find=_find_permission,
    ),
}
