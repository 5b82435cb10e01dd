"""Holds what a role calls against its policies: records it, and denies it when it is told to.

Owns the mode and the one decision. Every request of a role is checked at the gateway; an effect
that does not go over HTTP asks `authorise`. Must not: judge what an account does itself.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
Differs: identity-based policies alone decide: permissions boundaries, policies of the organisation
and Allows of resource policies are not looked at, nor who may assume a role.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from localcloud.aws.errors import AccessDenied, AwsError
from localcloud.aws.protocol import protocol_of, serialise_error
from localcloud.aws.routing import Request, Response, Scope, scope_of_arn
from localcloud.core.clock import Clock
from localcloud.core.store import Database
from localcloud.iam.actions import Permission, permissions
from localcloud.iam.calls import CallLog
from localcloud.iam.encryption import key_permissions
from localcloud.iam.enforcement import Mode
from localcloud.iam.keys import Keys, RoleSession
from localcloud.iam.policy import PolicyError, Statement, Verdict, evaluate, parse
from localcloud.iam.requests import operation_of
from localcloud.moto_backend.dispatcher import MotoBackend, backend

log = logging.getLogger("localcloud.iam")

_BECAUSE = {
    Verdict.IMPLICIT_DENY: "because no identity-based policy allows the {action} action",
    Verdict.EXPLICIT_DENY: "with an explicit deny in an identity-based policy",
}


class Authoriser:
    """Decides for roles.

    Attributes:
        keys: the access keys of roles.
        calls: what roles have done.
    """

    def __init__(
        self,
        moto: MotoBackend,
        clock: Clock,
        mode: Mode = Mode.LOG,
        database: Database | None = None,
    ) -> None:
        self._moto = moto
        self._clock = clock
        self._mode = mode
        self._statements: dict[str, tuple[Statement, ...]] = {}
        self.keys = Keys(database)
        self.calls = CallLog()

    async def handle(self, request: Request) -> Response | None:
        """Say who calls, and answer what a role may not do; None for what may go on."""
        session = self.keys.get(request.access_key)
        if session is None:  # the account: on the hot path, this is all
            return None
        request.principal = session.role_arn
        request.scope = Scope(session.account, request.scope.region)
        if self._mode is not Mode.OFF:
            try:
                await self._check(session, request)
            except AccessDenied as error:
                return _answer(request.service, error)
        return None

    async def _check(self, session: RoleSession, request: Request) -> None:
        operation, parameters = operation_of(request)
        if operation:
            service, scope = request.service, request.scope
            wanted = permissions(service, operation, parameters, scope)
            wanted += await key_permissions(self._moto, service, operation, parameters, scope)
            await self._decide(session, wanted)

    async def authorise(self, role_arn: str, wanted: Iterable[Permission]) -> None:
        """Authorise what a service does as a role; without a role it acts for itself.

        Raises:
            AccessDenied: the role may not, and that is enforced.
        """
        if role_arn and self._mode is not Mode.OFF:
            await self._decide(RoleSession(role_arn), wanted)

    def forget(self) -> None:
        """Read policies anew: one may have changed."""
        self._statements.clear()

    async def _decide(self, session: RoleSession, wanted: Iterable[Permission]) -> None:
        statements = self._statements.get(session.role_arn)
        if statements is None:
            documents = await self._moto.call(_documents, session.role_arn)
            statements = self._statements[session.role_arn] = _parsed(session.role_arn, documents)
        for permission in wanted:
            action, resource = permission.action, permission.resource or "*"
            verdict = evaluate(statements, action, permission.resource, permission.context)
            allowed = verdict is Verdict.ALLOWED
            self.calls.record(
                session.role_arn, action, resource, self._clock.now(), allowed=allowed
            )
            if not allowed and self._mode is Mode.ENFORCE:
                raise AccessDenied(denial(session, action, resource, verdict))


def denial(session: RoleSession, action: str, resource: str, verdict: Verdict) -> str:
    """Return AWS's text for a denied call."""
    return (
        f"User: {session.arn} is not authorized to perform: {action} on resource: {resource} "
        + _BECAUSE[verdict].format(action=action)
    )


def _answer(service: str, error: AccessDenied) -> Response:
    """Return the denial as the service's protocol has it."""
    code, status = error.code, 400
    if protocol_of(service) in ("query", "rest-xml"):
        code, status = "AccessDenied", 403
    elif service == "lambda":
        status = 403
    return serialise_error(service, AwsError(code, error.message, status))


def _parsed(role_arn: str, documents: dict[str, str]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for name, document in documents.items():
        try:
            found += parse(document)
        except PolicyError as error:
            # It grants nothing here: the calls that needed it then say so, by role and action.
            log.warning("the policy %s of %s is left out: %s", name, role_arn, error)
    return tuple(found)


def _documents(role_arn: str) -> dict[str, str]:
    """Return a role's policy documents by name; none where there is no role (in moto's thread)."""
    from moto.iam.exceptions import NotFoundException

    try:
        role = backend("iam", scope_of_arn(role_arn)).get_role_by_arn(role_arn)
    except NotFoundException:
        return {}
    attached = {
        arn: version.document
        for arn, policy in role.managed_policies.items()
        for version in policy.versions
        if version.version_id == policy.default_version_id
    }
    return {**role.policies, **attached}
