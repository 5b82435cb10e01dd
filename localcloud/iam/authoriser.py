"""The authoriser: checks every call of a role against its policies, records it, and may deny it.

This is the only place that decides. The gateway checks each request of a role; an effect that does
not go over HTTP calls `authorise`. Must not: check what an account does itself.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
Differs: an account's own key may do everything, also assume any role.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from localcloud.aws.errors import AccessDenied, AwsError
from localcloud.aws.protocol import protocol_of, serialise_error
from localcloud.aws.routing import Request, Response, Scope, scope_of_arn
from localcloud.core.clock import Clock
from localcloud.core.store import Database
from localcloud.iam.actions import permissions
from localcloud.iam.calls import CallLog
from localcloud.iam.decision import Decision, Policies, ResourcePolicy, decide, trusts
from localcloud.iam.encryption import key_permissions
from localcloud.iam.enforcement import Mode
from localcloud.iam.global_keys import global_keys
from localcloud.iam.keys import Keys, RoleSession, is_temporary
from localcloud.iam.permission import Permission
from localcloud.iam.policy import Statement
from localcloud.iam.principal_policies import Document, Principal, parsed, principal_of
from localcloud.iam.principals import Caller
from localcloud.iam.requests import operation_of
from localcloud.iam.resource_policies import Finder, policy_of, resource_policy
from localcloud.moto_backend.dispatcher import MotoBackend

log = logging.getLogger("localcloud.iam")


@dataclass(frozen=True, slots=True)
class _Role:
    """A role with its parsed policies."""

    principal: Principal
    identity: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None


class Authoriser:
    """Checks the calls of roles.

    Attributes:
        keys: the access keys of roles.
        calls: the calls that roles made.
        mode: whether calls that no policy allows are denied, recorded, or neither.
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
        self.mode = mode
        self._roles: dict[str, _Role] = {}
        self._finders: dict[str, Finder] = {}
        self.keys = Keys(database)
        self.calls = CallLog()

    def add_policies(self, service: str, find: Finder) -> None:
        """Let a service of ours say which policies its resources have.

        Args:
            service: IAM's name of the service.
            find: returns the owner and the policy of an ARN; called in the loop.
        """
        self._finders[service] = find

    async def handle(self, request: Request) -> Response | None:
        """Identify the caller, and answer a call that is denied; return None for any other."""
        session = self.keys.get(request.access_key)
        if session is None:
            if self.mode is Mode.ENFORCE and is_temporary(request.access_key):
                return _unknown_key(request.service)
            return None  # an account calls
        request.principal = session.role_arn
        request.scope = Scope(session.account, request.scope.region)
        if self.mode is not Mode.OFF:
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
            await self._decide(session, wanted, request.scope.region)

    async def authorise(self, role_arn: str, wanted: Iterable[Permission]) -> None:
        """Check what a service does as a role; an empty ARN means that it acts for itself.

        Raises:
            AccessDenied: the role lacks a permission, and the mode is `enforce`.
        """
        if role_arn and self.mode is not Mode.OFF:
            await self._decide(RoleSession(role_arn), wanted)

    async def trusts(self, role_arn: str, service: str) -> bool:
        """Return whether a role exists and lets a service assume it.

        Args:
            role_arn: the role.
            service: the service principal, for example `sagemaker.amazonaws.com`.
        """
        role = await self._moto.call(principal_of, role_arn)
        if role is None:
            return False
        statements = parsed(role_arn, [Document("the trust policy", "role", role.trust)])
        account = scope_of_arn(role_arn).account
        context = {"aws:SourceAccount": (account,)}
        return trusts(statements, Caller("", "", service=service), context)

    def forget(self) -> None:
        """Forget the parsed policies, because one may have changed."""
        self._roles.clear()

    async def _decide(
        self, session: RoleSession, wanted: Iterable[Permission], region: str = ""
    ) -> None:
        role = await self._role(session.role_arn)
        caller = Caller(session.account, session.role_arn, session.arn)
        documents = [Document("of the session", "role", text) for text in session.policies]
        limit = parsed(session.arn, documents) if documents else None
        policies = Policies(role.identity, role.boundary, limit)
        of_request = global_keys(
            caller, role.principal.id, role.principal.tags, region, self._clock.now()
        )
        for permission in wanted:
            action, resource = permission.action, permission.resource
            on_resource = await self._on_resource(action, resource)
            context = {**of_request, **permission.context}
            decision = decide(policies, on_resource, caller, action, resource, context)
            self.calls.record(
                session.role_arn,
                action,
                resource or "*",
                self._clock.now(),
                allowed=decision.allowed,
            )
            if not decision.allowed and self.mode is Mode.ENFORCE:
                raise AccessDenied(denial(session, action, resource or "*", decision))

    async def _on_resource(self, action: str, resource: str | None) -> ResourcePolicy:
        find = self._finders.get(action.partition(":")[0])
        if find is None:
            return await self._moto.call(policy_of, action, resource)
        found = find(resource) if resource is not None and resource.startswith("arn:") else None
        return ResourcePolicy() if found is None else resource_policy(action, resource or "", found)

    async def _role(self, role_arn: str) -> _Role:
        role = self._roles.get(role_arn)
        if role is None:
            found = await self._moto.call(principal_of, role_arn) or Principal()
            boundary = parsed(role_arn, [found.boundary]) if found.boundary else None
            role = _Role(found, parsed(role_arn, found.documents), boundary)
            self._roles[role_arn] = role
        return role


def denial(session: RoleSession, action: str, resource: str, decision: Decision) -> str:
    """Return AWS's message for a denied call."""
    text = f"User: {session.arn} is not authorized to perform: {action} on resource: {resource}"
    # STS says no more, because the trust policy may be another account's.
    return text if action == "sts:AssumeRole" else f"{text} {decision.reason}"


def _answer(service: str, error: AccessDenied) -> Response:
    """Return the denial in the protocol of the service."""
    code, status = error.code, 400
    if protocol_of(service) in ("query", "rest-xml"):
        code, status = "AccessDenied", 403
    elif service == "lambda":
        status = 403
    return serialise_error(service, AwsError(code, error.message, status))


def _unknown_key(service: str) -> Response:
    """Return AWS's response to a key that it does not know, in the protocol of the service.

    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
    """
    text = "The security token included in the request is invalid."
    code, status = "UnrecognizedClientException", 400
    if service == "s3":
        text = "The AWS Access Key Id you provided does not exist in our records."
        code, status = "InvalidAccessKeyId", 403
    elif protocol_of(service) == "query":
        code, status = "InvalidClientTokenId", 403
    elif service in ("lambda", "sagemaker-runtime"):
        status = 403
    return serialise_error(service, AwsError(code, text, status))
