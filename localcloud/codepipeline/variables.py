"""Variables and artifact functions in an action's configuration. Pure, except for the given reader.

`#{Namespace.Key}` is an output variable of an action, and `#{codepipeline.PipelineExecutionId}` a
variable of the pipeline. ParameterOverrides also has Fn::GetParam and Fn::GetArtifactAtt.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.codepipeline.model import Artifact

_REFERENCE = re.compile(r"#\{([A-Za-z0-9_@.-]+)\.([A-Za-z0-9_@-]+)\}")
_OVERRIDES_LIMIT_BYTES = 1024


class VariableError(ValueError):
    """A reference to a variable or an artifact that does not exist."""


def references(text: str) -> list[tuple[str, str]]:
    """Return the namespace and the key of every `#{Namespace.Key}`, in order."""
    return _REFERENCE.findall(text)


def resolve(text: str, variables: Mapping[str, Mapping[str, str]]) -> str:
    """Replace every `#{Namespace.Key}`.

    Raises:
        VariableError: no such namespace or key.
    """

    def value_of(match: re.Match[str]) -> str:
        namespace, key = match.groups()
        if namespace not in variables:
            known = ", ".join(sorted(variables)) or "none"
            raise VariableError(
                f"the variable #{{{namespace}.{key}}} has an unknown namespace; known: {known}"
            )
        if key not in variables[namespace]:
            known = ", ".join(sorted(variables[namespace])) or "none"
            raise VariableError(
                f"the namespace {namespace} has no variable {key}; its variables are: {known}"
            )
        return variables[namespace][key]

    return _REFERENCE.sub(value_of, text)


# Takes an artifact name and a file name; returns the content of that file in the artifact's zip.
ReadFile = Callable[[str, str], bytes]


def parameter_overrides(
    text: str, artifacts: Mapping[str, Artifact], read_file: ReadFile
) -> dict[str, str]:
    """Return a CloudFormation action's ParameterOverrides with its functions evaluated.

    Raises:
        VariableError: it is not a JSON object of strings and functions, has over 1 KB, or refers to
            something that does not exist.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise VariableError(f"ParameterOverrides is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise VariableError("ParameterOverrides must be a JSON object")
    values = {name: _value(value, artifacts, read_file) for name, value in document.items()}
    size = len(json.dumps(values).encode())
    if size > _OVERRIDES_LIMIT_BYTES:
        raise VariableError(
            f"ParameterOverrides has {size} bytes; at most {_OVERRIDES_LIMIT_BYTES} are allowed"
        )
    return values


def _value(value: Any, artifacts: Mapping[str, Artifact], read_file: ReadFile) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        (function, arguments), *_ = value.items()
        if function == "Fn::GetParam" and _is_strings(arguments, 3):
            name, file_name, key = arguments
            try:
                content = json.loads(read_file(name, file_name))
            except ValueError as error:
                raise VariableError(f"{file_name} of {name} is not JSON: {error}") from None
            if not isinstance(content, dict) or key not in content:
                raise VariableError(f"{file_name} of the artifact {name} has no key {key}")
            return str(content[key])
        if function == "Fn::GetArtifactAtt" and _is_strings(arguments, 2):
            name, attribute = arguments
            if name not in artifacts:
                raise VariableError(f"the artifact {name} does not exist")
            artifact = artifacts[name]
            known = {
                "BucketName": artifact.bucket,
                "ObjectKey": artifact.key,
                "URL": f"https://s3.amazonaws.com/{artifact.bucket}/{artifact.key}",
            }
            if attribute not in known:
                raise VariableError(
                    f"Fn::GetArtifactAtt has no attribute {attribute}; "
                    f"its attributes are: {', '.join(known)}"
                )
            return known[attribute]
    raise VariableError(
        f"{json.dumps(value)} is neither a string nor Fn::GetParam [artifact, file, key] "
        "nor Fn::GetArtifactAtt [artifact, attribute]"
    )


def _is_strings(value: Any, count: int) -> bool:
    return (
        isinstance(value, list) and len(value) == count and all(isinstance(v, str) for v in value)
    )
