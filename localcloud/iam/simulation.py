"""IAM's policy simulator: the decision on an action, with the statements that made it. Pure.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.iam.decision import Policies, ResourcePolicy, decide
from localcloud.iam.policy import Context, Statement, Verdict, parse
from localcloud.iam.policy_text import values_of
from localcloud.iam.principals import Caller

IAM_POLICY, RESOURCE_POLICY = "IAM Policy", "Resource Policy"
BOUNDARY = "Permissions Boundary Policy"
_STATEMENT = re.compile(r'"Statement"\s*:\s*')
_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """A policy in a simulation.

    Attributes:
        id: its name in the answer, for example `PolicyInputList.1`.
        kind: one of the three names above.
        statements: its statements, each with its place in the text.
    """

    id: str
    kind: str
    statements: tuple[tuple[Statement, tuple[int, int]], ...]
    text: str

    def shown(self, span: tuple[int, int]) -> dict[str, Any]:
        """Return a statement of it as a MatchedStatement."""
        start, end = (_position(self.text, place) for place in span)
        return {
            "SourcePolicyId": self.id,
            "SourcePolicyType": self.kind,
            "StartPosition": start,
            "EndPosition": end,
        }


def source_policy(name: str, kind: str, text: str) -> SourcePolicy:
    """Return a parsed policy.

    Raises:
        PolicyError: the document is malformed.
    """
    statements = parse(text)
    spans = _spans(text)
    if len(spans) != len(statements):
        spans = [(0, len(text))] * len(statements)
    return SourcePolicy(name, kind, tuple(zip(statements, spans, strict=True)), text)


def simulate(
    policies: Sequence[SourcePolicy],
    caller: Caller,
    owner: str,
    action: str,
    resource: str,
    context: Context,
) -> dict[str, Any]:
    """Return the EvaluationResult of one action on one resource.

    Args:
        policies: the policies of all kinds.
        caller: who calls.
        owner: the account of the resource; empty for the caller's.
        action: `service:Operation`.
        resource: an ARN or `*`.
        context: the condition keys.
    """
    on_resource = ResourcePolicy(owner, _of(policies, RESOURCE_POLICY))
    boundary = _of(policies, BOUNDARY) if any(p.kind == BOUNDARY for p in policies) else None
    own = Policies(_of(policies, IAM_POLICY), boundary)
    verdict = decide(own, on_resource, caller, action, resource, context).verdict
    matched = [
        policy.shown(span)
        for policy in policies
        for statement, span in policy.statements
        if policy.kind != BOUNDARY
        and statement.matches(action, resource, context)
        and (statement.principals is None or statement.principals.name(caller))
        and _decided(verdict, allow=statement.allow)
    ]
    missing = missing_keys(policies, action, context)
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": verdict.value,
        "MatchedStatements": matched,
        "MissingContextValues": missing,
    }
    if boundary is not None:
        within = any(s.allow and s.matches(action, resource, context) for s in boundary)
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
    if resource != "*":
        specific = {
            "EvalResourceName": resource,
            "EvalResourceDecision": verdict.value,
            "MatchedStatements": matched,
            "MissingContextValues": missing,
        }
        result["ResourceSpecificResults"] = [specific]
    return result


def context_keys(statements: Iterable[Statement]) -> list[str]:
    """Return the condition keys that statements depend on, each once, in order."""
    keys = (key for statement in statements for key in statement.condition_keys())
    return list(dict.fromkeys(keys))


def missing_keys(policies: Sequence[SourcePolicy], action: str, context: Context) -> list[str]:
    """Return the keys that the statements on an action depend on and that were not given."""
    naming = [s for policy in policies for s, _ in policy.statements if s.names(action)]
    return [key for key in context_keys(naming) if not values_of(context, key)]


def _of(policies: Sequence[SourcePolicy], kind: str) -> tuple[Statement, ...]:
    return tuple(s for policy in policies if policy.kind == kind for s, _ in policy.statements)


def _decided(verdict: Verdict, *, allow: bool) -> bool:
    return verdict is (Verdict.ALLOWED if allow else Verdict.EXPLICIT_DENY)


def _spans(text: str) -> list[tuple[int, int]]:
    """Return where each statement begins and ends in the text of a valid document."""
    found = _STATEMENT.search(text)
    if found is None:
        return []
    place, decoder, spans = found.end(), json.JSONDecoder(), []
    if text[place] != "[":
        return [(place, decoder.raw_decode(text, place)[1])]
    place += 1
    while (place := _end(_BETWEEN.match(text, place), place)) < len(text) and text[place] != "]":
        end = decoder.raw_decode(text, place)[1]
        spans.append((place, end))
        place = end
    return spans


def _end(match: re.Match[str] | None, place: int) -> int:
    return place if match is None else match.end()


def _position(text: str, place: int) -> dict[str, int]:
    return {"Line": text.count("\n", 0, place) + 1, "Column": place - text.rfind("\n", 0, place)}
