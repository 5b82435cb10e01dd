"""The decision on a call, from all policies that apply to it. Pure.

An explicit Deny in any of them decides. Otherwise an identity's policies have to allow the call,
and each of its permissions boundary and session policies that exists has to allow it, too. A
resource's policy may allow it instead: one that names the session or the user decides alone, and
one that names the role is limited by the boundary and the session policies. In another account, the
resource's policy has to allow it as well.

For example, a role without policies may decrypt with a key whose policy names the role. It may not
with a key whose policy names the role's account, because then the role's own policies decide.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
Differs: service and resource control policies do not exist here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localcloud.iam.policy import Context, Statement, Verdict, evaluate
from localcloud.iam.principals import Caller, Named

Statements = Sequence[Statement]

_IDENTITY, _BOUNDARY = "an identity-based policy", "a permissions boundary"
_SESSION, _RESOURCE = "a session policy", "a resource-based policy"


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of a caller; None is one that it does not have, which limits nothing."""

    identity: Statements = ()
    boundary: Statements | None = None
    session: Statements | None = None


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """The policy of a resource.

    Attributes:
        account: the account that owns the resource; empty if it is the caller's.
        statements: its statements; none if it has no policy.
        decisive: whether it has to allow each call, also of its own account: a KMS key's, a role's.
    """

    account: str = ""
    statements: Statements = ()
    decisive: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its reason, in AWS's words; the reason of an Allow is empty."""

    verdict: Verdict
    reason: str = ""

    @property
    def allowed(self) -> bool:
        """Return whether the call may be made."""
        return self.verdict is Verdict.ALLOWED


_ALLOWED = Decision(Verdict.ALLOWED)


def decide(
    policies: Policies,
    on_resource: ResourcePolicy,
    caller: Caller,
    action: str,
    resource: str | None,
    context: Context,
) -> Decision:
    """Return the decision on a call.

    Args:
        policies: the caller's policies.
        on_resource: the resource's policy.
        caller: who calls.
        action: `service:Operation`.
        resource: as in `Statement.matches`.
        context: the condition keys of the request.
    """
    named = [
        (statement.principals.name(caller), statement)
        for statement in on_resource.statements
        if statement.principals is not None and statement.matches(action, resource, context)
    ]
    limits = [(_BOUNDARY, policies.boundary), (_SESSION, policies.session)]
    verdicts = {
        kind: evaluate(statements, action, resource, context)
        for kind, statements in [(_IDENTITY, policies.identity), *limits]
        if statements is not None
    }
    if any(name and not statement.allow for name, statement in named):
        return _denied(_RESOURCE, Verdict.EXPLICIT_DENY, action)
    for kind, verdict in verdicts.items():
        if verdict is Verdict.EXPLICIT_DENY:
            return _denied(kind, verdict, action)
    granted = max((name for name, statement in named if statement.allow), default=Named.NOT)
    elsewhere = on_resource.account not in ("", caller.account)
    if not granted and (elsewhere or on_resource.decisive):
        return _denied(_RESOURCE, Verdict.IMPLICIT_DENY, action)
    if not elsewhere and granted is Named.SESSION:
        return _ALLOWED
    if not elsewhere and granted is Named.ROLE:
        del verdicts[_IDENTITY]
    for kind, verdict in verdicts.items():
        if verdict is not Verdict.ALLOWED:
            return _denied(kind, verdict, action)
    return _ALLOWED


def trusts(statements: Statements, caller: Caller, context: Context) -> bool:
    """Return whether a role's trust policy lets a principal, or a service, assume the role."""
    applying = [
        statement
        for statement in statements
        if statement.principals is not None
        and statement.principals.name(caller)
        and statement.matches("sts:AssumeRole", "*", context)
    ]
    return bool(applying) and all(statement.allow for statement in applying)


def _denied(kind: str, verdict: Verdict, action: str) -> Decision:
    if verdict is Verdict.EXPLICIT_DENY:
        return Decision(verdict, f"with an explicit deny in {kind}")
    bare = kind.removeprefix("an ").removeprefix("a ")
    return Decision(verdict, f"because no {bare} allows the {action} action")
