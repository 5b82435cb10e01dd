"""The parts of a Pulumi program that `localcloud up` does not carry out, refused by name.

`localcloud up` is the small way to deploy, not a second Pulumi. An option that it ignored would
change what happens to real resources. Preview and deployment refuse alike, before any resource
is touched, because every deployment begins with a preview.

Source: https://www.pulumi.com/docs/iac/concepts/options/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.deploy.errors import ResourceError

# The field of the request and the option of the program.
_OPTIONS = {
    "importId": "import_",
    "deletedWith": "deleted_with",
    "replace_with": "replace_with",
    "replacement_trigger": "replacement_trigger",
    "transforms": "transforms",
    "hooks": "hooks",
    "state_migrations": "state migrations",
    "remote": "a component of another package",
}
# Inputs of the AWS provider that say how to reach the endpoint. Others would change resources.
PROVIDER_INPUTS = frozenset(
    {
        *("accessKey", "secretKey", "token", "region", "endpoints", "profile", "version"),
        *("s3UsePathStyle", "maxRetries", "retryMode", "skipCredentialsValidation"),
        *("skipMetadataApiCheck", "skipRegionValidation", "skipRequestingAccountId"),
        *("pluginDownloadUrl", "insecure"),
    }
)
# The test monitor has it in the URN of a resource without a parent; Pulumi itself has not.
STACK_TYPE = "pulumi:pulumi:Stack$"
_AWS = "pulumi:providers:aws"
_INSTEAD = "localcloud does not carry that out; `pulumi up` does"


def check_options(request: Any) -> None:
    """Refuse a resource with an option that a deployment does not carry out.

    Args:
        request: the RegisterResourceRequest of Pulumi's protocol.

    Raises:
        ResourceError: names the options.
    """
    used = dict.fromkeys(
        option for name, option in _OPTIONS.items() if _is_set(getattr(request, name, None))
    )
    if not request.custom and (request.aliases or request.aliasURNs):
        used["aliases of a component"] = None  # its children would inherit them
    if used:
        raise ResourceError(f"{request.type} '{request.name}' uses {', '.join(used)}: {_INSTEAD}")


def _is_set(value: Any) -> bool:
    if hasattr(value, "ByteSize"):
        return bool(value.ByteSize())
    return bool(value)


def check_provider(type_: str, name: str, inputs: Mapping[str, Any], region: str) -> None:
    """Refuse a provider whose inputs would change resources, or that is not AWS's.

    Raises:
        ResourceError: names the inputs.
    """
    if not type_.startswith("pulumi:providers:"):
        return
    if type_ != _AWS:
        raise ResourceError(f"{type_} '{name}' is not the AWS provider: {_INSTEAD}")
    given = {key for key, value in inputs.items() if value not in (None, "", [], {}, "[]", "{}")}
    refused = sorted(given - PROVIDER_INPUTS)
    if refused:
        raise ResourceError(f"the provider '{name}' sets {', '.join(refused)}: {_INSTEAD}")
    other = inputs.get("region") or region
    if other != region:
        raise ResourceError(
            f"the provider '{name}' is for the region {other}, but this stack deploys to {region}: "
            "localcloud deploys a stack to one region, which the setting aws:region names; "
            "`pulumi up` deploys to several"
        )


def check_read(type_: str, name: str) -> None:
    """Refuse to read a resource that the program does not create.

    Raises:
        ResourceError: always, but for a reference to a stack.
    """
    if type_ != "pulumi:pulumi:StackReference":
        raise ResourceError(f"{type_}.get('{name}') reads an existing resource: {_INSTEAD}")


def unsupported_function(token: str) -> ResourceError:
    """Return the error of a function that is not supported."""
    return ResourceError(f"the program calls the function {token}: {_INSTEAD}")


def transforms() -> ResourceError:
    """Return the error of transforms of a whole stack."""
    return ResourceError(f"the program registers transforms of the stack: {_INSTEAD}")


def duplicate(urn: str) -> ResourceError:
    """Return Pulumi's error of a name that is used twice."""
    shown = urn.replace(STACK_TYPE, "")
    return ResourceError(f"Duplicate resource URN '{shown}'; try giving it a unique name")
