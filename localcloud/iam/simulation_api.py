"""The operations of IAM's policy simulator. moto answers IAM's other operations.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
Differs: service control policies do not exist here; `ResourceHandlingOption` is checked by no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.iam.global_keys import global_keys
from localcloud.iam.policy import PolicyError
from localcloud.iam.principal_policies import Principal, principal_of
from localcloud.iam.principals import Caller
from localcloud.iam.simulation import (
    BOUNDARY,
    IAM_POLICY,
    RESOURCE_POLICY,
    SourcePolicy,
    context_keys,
    simulate,
    source_policy,
)
from localcloud.service_context import ServiceContext

_PAGE = 1000
_SOURCES = ("user", "group", "role")
_MOST_RESULTS = 10_000


class SimulationApi:
    """The simulator's operations."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    @operation("SimulatePrincipalPolicy")
    async def simulate_principal_policy(
        self, scope: Scope, params: dict[str, Any]
    ) -> dict[str, Any]:
        arn = params["PolicySourceArn"]
        principal = await self._principal(arn)
        policies = _of_principal(principal)
        given = params.get("PermissionsBoundaryPolicyInputList")
        if given is None and principal.boundary is not None:
            policies.append(_source(principal.boundary.name, BOUNDARY, principal.boundary.text))
        return self._simulate(scope, params, policies, params.get("CallerArn") or arn, principal)

    @operation("SimulateCustomPolicy")
    async def simulate_custom_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        arn = params.get("CallerArn", "")
        if params.get("ResourcePolicy") and not arn:
            raise _invalid("CallerArn must be given with ResourcePolicy; give a user's ARN.")
        return self._simulate(scope, params, [], arn, Principal())

    @operation("GetContextKeysForCustomPolicy")
    async def get_context_keys_for_custom_policy(
        self, scope: Scope, params: dict[str, Any]
    ) -> dict[str, Any]:
        del scope
        return {"ContextKeyNames": _keys(_given(params, "PolicyInputList", IAM_POLICY))}

    @operation("GetContextKeysForPrincipalPolicy")
    async def get_context_keys_for_principal_policy(
        self, scope: Scope, params: dict[str, Any]
    ) -> dict[str, Any]:
        del scope
        policies = _of_principal(await self._principal(params["PolicySourceArn"]))
        policies += _given(params, "PolicyInputList", IAM_POLICY)
        return {"ContextKeyNames": _keys(policies)}

    async def _principal(self, arn: str) -> Principal:
        kind, _, name = arn.split(":", 5)[5].partition("/") if arn.count(":") >= 5 else ("", "", "")
        if not arn.startswith("arn:") or kind not in _SOURCES:
            raise _invalid(
                f"PolicySourceArn is {arn[:200]}; it must be the ARN of a user, a group or a role."
            )
        found = await self._context.moto.call(principal_of, arn)
        if found is None:
            bare = name.rpartition("/")[2]
            text = f"The {kind} with name {bare} cannot be found."
            raise AwsError("NoSuchEntity", text, 404)
        return found

    def _simulate(
        self,
        scope: Scope,
        params: dict[str, Any],
        policies: list[SourcePolicy],
        caller_arn: str,
        principal: Principal,
    ) -> dict[str, Any]:
        policies = [
            *policies,
            *_given(params, "PolicyInputList", IAM_POLICY),
            *_given(params, "PermissionsBoundaryPolicyInputList", BOUNDARY),
        ]
        if params.get("ResourcePolicy"):
            policies.append(_source("ResourcePolicy", RESOURCE_POLICY, params["ResourcePolicy"]))
        account = scope_of_arn(caller_arn).account if caller_arn.count(":") >= 5 else scope.account
        caller = Caller(account, caller_arn)
        keys: dict[str, Sequence[str]] = {}
        if caller_arn:
            now = self._context.clock.now()
            keys.update(global_keys(caller, principal.id, principal.tags, scope.region, now))
        keys.update(_context(params.get("ContextEntries") or []))
        actions, resources = params["ActionNames"], params.get("ResourceArns") or ["*"]
        if len(actions) * len(resources) > _MOST_RESULTS:
            raise _invalid(
                f"{len(actions)} actions on {len(resources)} resources are too many; at most "
                f"{_MOST_RESULTS} pairs are simulated in one call."
            )
        pairs = [(a, r) for a in dict.fromkeys(actions) for r in dict.fromkeys(resources)]
        shown, marker = page(
            pairs,
            lambda pair: f"{pair[0]} {pair[1]}",
            params.get("Marker"),
            params.get("MaxItems") or _PAGE,
            "InvalidInput",
        )
        owner = _account_of(params.get("ResourceOwner", ""))
        results = [simulate(policies, caller, owner, a, r, keys) for a, r in shown]
        more = {"Marker": marker} if marker else {}
        return {"EvaluationResults": results, "IsTruncated": marker is not None, **more}


def _context(entries: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the values of each condition key that the caller gives."""
    for number, entry in enumerate(entries, 1):
        for member in ("ContextKeyName", "ContextKeyType"):
            if not entry.get(member):
                raise _invalid(f"ContextEntries.member.{number} has no {member}; give one.")
    return {
        entry["ContextKeyName"]: tuple(entry.get("ContextKeyValues") or []) for entry in entries
    }


def _given(params: dict[str, Any], member: str, kind: str) -> list[SourcePolicy]:
    texts = params.get(member) or []
    return [_source(f"{member}.{n}", kind, text) for n, text in enumerate(texts, 1)]


def _of_principal(principal: Principal) -> list[SourcePolicy]:
    return [_source(d.name, IAM_POLICY, d.text) for d in principal.documents]


def _source(name: str, kind: str, text: str) -> SourcePolicy:
    try:
        return source_policy(name, kind, text)
    except PolicyError as error:
        raise _invalid(f"The policy {name} is not valid: {error}.") from None


def _keys(policies: list[SourcePolicy]) -> list[str]:
    return context_keys(s for policy in policies for s, _ in policy.statements)


def _account_of(owner: str) -> str:
    return scope_of_arn(owner).account if owner.count(":") >= 5 else owner


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInput", message)
