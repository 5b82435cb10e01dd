"""The sections of the overview, and the number of the latest change of each of them.

A change is noted while a record is written, so noting one must cost next to nothing: it counts, and
wakes who waits. Must not: read a record.
"""

from __future__ import annotations

import asyncio
import secrets

SECTIONS = (
    "cloud",
    "approvals",
    "pipelines",
    "endpoints",
    "metrics",
    "jobs",
    "drift",
    "alarms",
    "events",
    "stacks",
    "permissions",
    "loadtests",
)
# A collection of records → the sections that show them.
_OF_COLLECTION = {
    "codepipeline": ("pipelines", "approvals"),
    "codepipeline-execution": ("pipelines", "approvals"),
    "sagemaker-endpoint": ("endpoints", "cloud"),
    "sagemaker-endpoint-config": ("endpoints",),
    "autoscaling-target": ("endpoints",),
    "autoscaling-policy": ("endpoints",),
    "autoscaling-activity": ("endpoints",),
    "sagemaker-training-job": ("jobs",),
    "sagemaker-processing-job": ("jobs", "drift"),
    "sagemaker-tuning-job": ("jobs",),
    "sagemaker-transform-job": ("jobs",),
    "cloudformation-stack": ("stacks", "approvals"),
    "deployed-stack": ("stacks", "approvals"),
    "load-test": ("loadtests",),
}
# A service whose records moto keeps → the sections that a change by one of its operations concerns.
_OF_SERVICE = {"cloudwatch": ("alarms", "drift"), "iam": ("permissions",)}


class Changes:
    """The number of the latest change of each section.

    Attributes:
        instance: names this run of the local cloud; the numbers of another run mean nothing.
        number: the number of the latest change.
        latest: the number of each section's latest change.
    """

    def __init__(self) -> None:
        self.instance = secrets.token_hex(4)
        self.number = 0
        self.latest = dict.fromkeys(SECTIONS, 0)
        self._waiting: set[asyncio.Event] = set()

    def note(self, *sections: str) -> None:
        """Note that sections changed, and wake everyone who waits."""
        self.number += 1
        for section in sections:
            self.latest[section] = self.number
        for event in self._waiting:
            event.set()

    def record(self, collection: str) -> None:
        """Note that a record of a collection changed."""
        sections = _OF_COLLECTION.get(collection)
        if sections is not None:
            self.note(*sections)

    def written(self, service: str) -> None:
        """Note that an operation of a service changed something that moto keeps."""
        sections = _OF_SERVICE.get(service)
        if sections is not None:
            self.note(*sections)

    def listen(self) -> asyncio.Event:
        """Return an event that is set at each change, until `ignore` gets it."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def ignore(self, event: asyncio.Event) -> None:
        """Set an event no more."""
        self._waiting.discard(event)
