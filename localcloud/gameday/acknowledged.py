"""Compares what was acknowledged during a game day with what is there in the end. Pure.

Something is acknowledged when its caller has the response of success, or, for a step of a pipeline,
when the API has shown it as succeeded. Nothing of that kind may be lost, whatever was killed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Step = tuple[str, str, str]  # execution, stage, action


@dataclass(slots=True)
class Acknowledged:
    """The things that were acknowledged.

    Attributes:
        objects: version of the dataset → its SHA-256.
        executions: the ids of executions that were seen.
        approvals: step → the summary that was given.
        steps: steps that were seen as succeeded.
    """

    objects: dict[str, str] = field(default_factory=dict)
    executions: dict[str, None] = field(default_factory=dict)
    approvals: dict[Step, str] = field(default_factory=dict)
    steps: dict[Step, None] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """The things that are there in the end.

    Attributes:
        objects: version → SHA-256.
        executions: id → status.
        approvals: step → the summary of its approval.
        steps: step → the statuses of its runs, retries included.
        started_by: the versions of the dataset for which an execution was started.
    """

    objects: dict[str, str] = field(default_factory=dict)
    executions: dict[str, str] = field(default_factory=dict)
    approvals: dict[Step, str] = field(default_factory=dict)
    steps: dict[Step, set[str]] = field(default_factory=dict)
    started_by: set[str] = field(default_factory=set)


_RUNNING = ("InProgress", "Stopping")


def losses(acknowledged: Acknowledged, found: Found) -> list[str]:
    """Return one sentence for each thing that was lost."""
    lost = []
    for version, digest in acknowledged.objects.items():
        if version not in found.objects:
            lost.append(f"the dataset's version {version} is gone")
        elif found.objects[version] != digest:
            lost.append(f"the dataset's version {version} has another content")
        if version not in found.started_by:
            lost.append(f"no execution was started for the dataset's version {version}")
    for execution in acknowledged.executions:
        status = found.executions.get(execution)
        if status is None:
            lost.append(f"the execution {execution} is gone")
        elif status in _RUNNING:
            lost.append(f"the execution {execution} did not end: it is {status}")
    for step, summary in acknowledged.approvals.items():
        if found.approvals.get(step) != summary:
            lost.append(f"the approval of {_text(step)} is gone")
    for step in acknowledged.steps:
        if "Succeeded" not in found.steps.get(step, set()):
            lost.append(f"the finished step {_text(step)} is gone")
    return lost


def _text(step: Step) -> str:
    return f"{step[1]}/{step[2]} of {step[0]}"
