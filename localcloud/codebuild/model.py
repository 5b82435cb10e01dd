"""Records of builds.

    IN_PROGRESS ──► SUCCEEDED | FAILED | FAULT | STOPPED | TIMED_OUT

Source: https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from localcloud.aws.errors import IllegalTransition


class BuildStatus(StrEnum):
    """Status of a build, and of each of its phases."""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    FAULT = "FAULT"
    STOPPED = "STOPPED"
    TIMED_OUT = "TIMED_OUT"


@dataclass(slots=True)
class BuildPhase:
    """One phase that was entered."""

    name: str
    started: datetime
    status: BuildStatus = BuildStatus.IN_PROGRESS
    ended: datetime | None = None
    message: str = ""


@dataclass(slots=True)
class Build:
    """One build of a project.

    Attributes:
        source: zip archive in S3 as (bucket, key), or None for a build without a source.
        output: target of the artifact as (bucket, key), or None.
    """

    arn: str
    id: str
    project: str
    number: int
    initiator: str
    started: datetime
    log_group: str
    log_stream: str
    service_role: str
    timeout_minutes: int
    source: tuple[str, str] | None = None
    output: tuple[str, str] | None = None
    source_version: str = ""
    buildspec: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    status: BuildStatus = BuildStatus.IN_PROGRESS
    phases: list[BuildPhase] = field(default_factory=list)
    ended: datetime | None = None
    exported: dict[str, str] = field(default_factory=dict)

    def begin(self, phase: str, now: datetime) -> BuildPhase:
        """Enter a phase."""
        made = BuildPhase(phase, now)
        self.phases.append(made)
        return made

    def end(self, status: BuildStatus, now: datetime) -> None:
        """End the build.

        Raises:
            IllegalTransition: the build has already ended.
        """
        if self.status is not BuildStatus.IN_PROGRESS:
            raise IllegalTransition(f"build {self.id}: {self.status} to {status}")
        self.status = status
        self.ended = now

    @property
    def reason(self) -> str:
        """Return the reason of the failure, or an empty string."""
        return next((phase.message for phase in self.phases if phase.message), "")
