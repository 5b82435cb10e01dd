"""The program's resources as Terraform JSON, for HashiCorp's AWS provider.

Both stacks are recorded under the deployer's monitor. What a resource would compute is answered by
a mark, which becomes a Terraform reference wherever the program used it, in a policy's text too: so
the provider orders the resources as Pulumi would. Names and blocks follow the provider's own
schema, and a small table says where Pulumi's bridge has renamed something.

`protect` and `retainOnDelete` are not rendered, and every bucket may be emptied: what is applied
here must be destroyed again.

Run as `python -m tests.provider.render SCHEMA DIRECTORY URL [KEY=VALUE ...]`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.provider import SERVICES
from localcloud.deploy import monitor
from localcloud.deploy.archives import content_of, is_asset
from localcloud.deploy.errors import DeployError
from localcloud.deploy.plan import Registration
from localcloud.deploy.project import load
from localcloud.deploy.stacks import aws_at
from localcloud.deploy.state import StackState
from tests.cloud import ACCOUNT, REGION, ROOT

PROVIDER = "registry.terraform.io/hashicorp/aws"
STACKS = ("prd", "dev")
# Where Terraform's name of a type is not `aws_<module>_<type>`.
TYPES = {
    "aws:codepipeline/pipeline:Pipeline": "aws_codepipeline",
    "aws:s3/bucketObjectv2:BucketObjectv2": "aws_s3_object",
}
# (Terraform's type, Pulumi's input) → Terraform's attribute, where it is not that in snake case.
ATTRIBUTES = {
    ("aws_cloudwatch_metric_alarm", "name"): "alarm_name",
    ("aws_lambda_function", "name"): "function_name",
    ("aws_lambda_permission", "function"): "function_name",
    ("aws_sns_topic_subscription", "topic"): "topic_arn",
}
# A mark of a value that the cloud computes: address and attribute. An ARN's mark has the account
# where an ARN has it, since the program reads it there.
_ARN = f"arn:aws:-:{REGION}:{ACCOUNT}:"
_MARK = re.compile(rf"@@(?:{_ARN})?([a-z0-9_]+\.[a-z0-9_]+\.[a-z0-9_]+)@@")


def snake(name: str) -> str:
    """Return a camel-case name in snake case."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    """Return a snake-case name in camel case."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def type_of(token: str) -> str:
    """Return Terraform's type of a Pulumi token."""
    module, _, name = token.split(":")[1].partition("/")
    return TYPES.get(token, f"aws_{module}_{snake(name)}")


def singulars(name: str) -> list[str]:
    """Return a name and what it may be the plural of; Pulumi's bridge makes plurals of lists."""
    found = [name]
    if name.endswith("ies"):
        found.append(name[:-3] + "y")
    if name.endswith("es"):
        found.append(name[:-2])
    if name.endswith("s"):
        found.append(name[:-1])
    return found


@dataclass
class Recorder:
    """Takes the program's resources, and answers with marks of what would be computed."""

    stack: str
    schema: Mapping[str, Any]
    directory: Path
    error: DeployError | None = None
    addresses: dict[str, str] = field(default_factory=dict)  # by URN
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)  # by type and label

    def register(self, registration: Registration) -> tuple[str, dict[str, Any]]:
        """Render one resource."""
        type_ = type_of(registration.type)
        block = self.schema[type_]["block"]
        label = snake(f"{self.stack}_{registration.name}".replace("-", "_"))
        address = f"{type_}.{label}"
        self.addresses[registration.urn] = address
        rendered = self._block(type_, block, registration.inputs, label)
        first = [self.addresses[urn] for urn in registration.depends_on if urn in self.addresses]
        if first:
            rendered["depends_on"] = sorted(set(first))
        if type_ == "aws_s3_bucket":
            rendered["force_destroy"] = True
        if registration.options.ignore_changes:
            ignored = [self._name(type_, block, p) for p in registration.options.ignore_changes]
            rendered["lifecycle"] = {"ignore_changes": ignored}
        self.resources.setdefault(type_, {})[label] = rendered
        outputs = dict(registration.inputs)
        for attribute, about in block["attributes"].items():
            name = self._input(type_, attribute)
            if about.get("type") == "string" and (
                about.get("computed") or isinstance(outputs.get(name), str)
            ):
                prefix = _ARN if attribute == "arn" else ""
                outputs[name] = f"@@{prefix}{address}.{attribute}@@"
        return f"@@{address}.id@@", outputs

    def _input(self, type_: str, attribute: str) -> str:
        renamed = {(t, to): name for (t, name), to in ATTRIBUTES.items()}
        return renamed.get((type_, attribute), camel(attribute))

    def _name(self, type_: str, block: Mapping[str, Any], name: str) -> str:
        known = {**block.get("attributes", {}), **block.get("block_types", {})}
        wanted = ATTRIBUTES.get((type_, name), snake(name))
        for candidate in singulars(wanted):
            if candidate in known:
                return candidate
        raise SystemExit(f"{type_} has neither an attribute nor a block for {name}")

    def _block(
        self, type_: str, block: Mapping[str, Any], values: Mapping[str, Any], label: str
    ) -> dict[str, Any]:
        rendered: dict[str, Any] = {}
        for key, value in values.items():
            if is_asset(value):
                rendered |= self._file(type_, label, value)
                continue
            name = self._name(type_, block, key)
            if name in block.get("attributes", {}):
                rendered[name] = _text(value)
                continue
            inner = block["block_types"][name]["block"]
            items = value if isinstance(value, list) else [value]
            rendered[name] = [self._block(f"{type_}.{name}", inner, i, label) for i in items]
        return rendered

    def _file(self, type_: str, label: str, asset: Any) -> dict[str, Any]:
        """Write an asset; a mark inside it cannot be a reference, and stays."""
        path = self.directory / f"{label}.zip"
        path.write_bytes(content_of(asset))
        if type_ == "aws_lambda_function":
            return {"filename": str(path), "source_code_hash": f'${{filebase64sha256("{path}")}}'}
        return {"source": str(path), "source_hash": f'${{filemd5("{path}")}}'}


def _text(value: Any) -> Any:
    """Return a value as Terraform reads it: only marks are references."""
    if isinstance(value, str):
        escaped = value.replace("${", "$${").replace("%{", "%%{")
        return _MARK.sub(r"${\1}", escaped)
    if isinstance(value, dict):
        return {key: _text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_text(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


class _Stacks:
    """The stacks that were recorded before, by name."""

    def __init__(self) -> None:
        self.outputs: dict[str, dict[str, Any]] = {}

    def load(self, project: str, name: str) -> StackState:
        return StackState(name, project=project, outputs=self.outputs.get(name, {}))


def render(
    schema: Mapping[str, Any], directory: Path, url: str, settings: Mapping[str, str]
) -> dict[str, Any]:
    """Return both stacks as one Terraform configuration."""
    stacks = _Stacks()
    resources: dict[str, dict[str, Any]] = {}
    aws = aws_at(url, REGION)
    for stack in STACKS:
        recorder = Recorder(stack, schema, directory)
        project = load(ROOT, stack, settings)
        stacks.outputs[stack], _ = monitor.run(project, recorder, stacks, aws)
        for type_, labelled in recorder.resources.items():
            resources.setdefault(type_, {}).update(labelled)
    return {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
        "provider": {"aws": provider(url)},
        "resource": resources,
    }


def provider(url: str) -> dict[str, Any]:
    """Return the provider's settings for a local cloud."""
    return {
        "region": REGION,
        "access_key": ACCOUNT,
        "secret_key": "test",
        "s3_use_path_style": True,
        "skip_credentials_validation": True,
        "skip_metadata_api_check": True,
        "skip_region_validation": True,
        "endpoints": [{service.rstrip("_"): url for service in SERVICES}],
    }


def main() -> None:
    """Write `main.tf.json` and the files that it names."""
    schema_file, directory, url = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    settings = dict(argument.split("=", 1) for argument in sys.argv[4:])
    document = json.loads(schema_file.read_text())
    schema = document["provider_schemas"][PROVIDER]["resource_schemas"]
    rendered = render(schema, directory, url, settings)
    (directory / "main.tf.json").write_text(json.dumps(rendered, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
