"""The authoriser: checks every call of a role against its policies, records it, and may deny it.

This is the only place that decides. The gateway checks each request of a role; an effect that does
not go over HTTP calls `authorise`. Must not: check what an account does itself.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
Differs: only identity-based policies decide. Permissions boundaries, service control policies,
Allows in resource policies and trust policies are not evaluated.
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
from localcloud.iam.keys import Keys, RoleSession, is_temporary
from localcloud.iam.policy import PolicyError, Statement, Verdict, evaluate, parse
from localcloud.iam.requests import operation_of
from localcloud.moto_backend.dispatcher import MotoBackend, backend

log = logging.getLogger("localcloud.iam")

_BECAUSE = {
    Verdict.IMPLICIT_DENY: "because no identity-based policy allows the {action} action",
    Verdict.EXPLICIT_DENY: "with an explicit deny in an identity-based policy",
}


class Authoriser:
    """Checks the calls of roles.

    Attributes:
        keys: the access keys of roles.
        calls: the calls that roles made.
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
        """Identify the caller, and answer a call that is denied; return None for any other."""
        session = self.keys.get(request.access_key)
        if session is None:
            if self._mode is Mode.ENFORCE and is_temporary(request.access_key):
                return _unknown_key(request.service)
            return None  # an account calls
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
        """Check what a service does as a role; an empty ARN means that it acts for itself.

        Raises:
            AccessDenied: the role lacks a permission, and the mode is `enforce`.
        """
        if role_arn and self._mode is not Mode.OFF:
            await self._decide(RoleSession(role_arn), wanted)

    def forget(self) -> None:
        """Forget the parsed policies, because one may have changed."""
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
    """Return AWS's message for a denied call."""
    return (
        f"User: {session.arn} is not authorized to perform: {action} on resource: {resource} "
        + _BECAUSE[verdict].format(action=action)
    )


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


def _parsed(role_arn: str, documents: dict[str, str]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for name, document in documents.items():
        try:
            found += parse(document)
        except PolicyError as error:
            # The policy grants nothing, and the calls that need it name the role and the action.
            log.warning("the policy %s of %s is ignored: %s", name, role_arn, error)
    return tuple(found)


def _documents(role_arn: str) -> dict[str, str]:
    """Return a role's policy documents by name, or nothing without it; run in moto's thread."""
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
