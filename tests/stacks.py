"""Stacks for the tests of CloudFormation: templates of log groups, and waiting for stacks."""

from __future__ import annotations

import json
from functools import partial
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

from tests.cloud import TestCloud, wait_for

_numbers = count(1)


def template(**resources: Any) -> str:
    return json.dumps({"Resources": resources})


def group(name: str, days: int = 7, **more: Any) -> dict[str, Any]:
    properties = {"LogGroupName": name, "RetentionInDays": days}
    return {"Type": "AWS::Logs::LogGroup", "Properties": properties, **more}


def broken(**more: Any) -> dict[str, Any]:
    """Return a resource that cannot be created, which is found out when its turn comes."""
    return group("/stack/broken", 8, **more)


class Stacks:
    """Makes stacks and waits for them."""

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self.client = cloud.client("cloudformation")
        self.names: list[str] = []

    def create(self, body: str, **more: Any) -> str:
        name = self.cloud.name(f"stack-{next(_numbers)}")
        self.client.create_stack(StackName=name, TemplateBody=body, **more)
        self.names.append(name)
        return name

    def settled(self, name: str) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            stack = self.client.describe_stacks(StackName=name)["Stacks"][0]
            return stack if not stack["StackStatus"].endswith("IN_PROGRESS") else None

        return wait_for(f"{name} to settle", probe, 30)

    def reasons(self, name: str) -> str:
        events = self.client.describe_stack_events(StackName=name)["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in events)

    def delete_all(self) -> None:
        """Delete the stacks, and wait: the next test may use the same names of resources."""
        for name in self.names:
            self.client.delete_stack(StackName=name)
        for name in self.names:
            wait_for(f"{name} to be deleted", partial(self._is_at_rest, name), 30)

    def _is_at_rest(self, name: str) -> bool:
        try:
            (stack,) = self.client.describe_stacks(StackName=name)["Stacks"]
        except ClientError:
            return True
        return not stack["StackStatus"].endswith("IN_PROGRESS")
