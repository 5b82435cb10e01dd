"""Errors of the program: an error that causes itself, and a function that nothing answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.core.child_process import free_port
from localcloud.deploy.functions import FunctionFailed, result_of
from localcloud.deploy.monitor import _explain
from localcloud.deploy.project import Project
from localcloud.deploy.stacks import aws_at

PROJECT = Project(Path("/program"), "lab", "dev", {})


def test_the_innermost_cause_is_the_message() -> None:
    outer, inner = ValueError("outer"), KeyError("inner")
    outer.__cause__ = inner
    assert _explain(outer, PROJECT) == "'inner'"


@pytest.mark.timeout(10)
def test_an_error_that_causes_itself_is_explained() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert _explain(first, PROJECT) in ("first", "second")


def test_a_function_that_nothing_answers_fails_as_the_program_may_catch() -> None:
    aws = aws_at(f"http://127.0.0.1:{free_port()}", "us-east-1")
    with pytest.raises(FunctionFailed, match="reading the CloudFormation stack s"):
        result_of(aws, "aws:cloudformation/getStack:getStack", {"name": "s"})
