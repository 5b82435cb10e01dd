"""Patches of KMS."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

_DEFAULT_DAYS = 365
_DEFAULT_POLICY = "default"


def patch(now: Any) -> None:
    """Apply the patches; `now` returns the AWS time."""
    _patch_key_usage()
    _patch_rotation(now)
    _patch_policy_name()


def _patch_key_usage() -> None:
    """CreateKey: moto has no usage where none is given; AWS has ENCRYPT_DECRYPT.

    Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
    """
    from moto.kms.models import KmsBackend

    create = KmsBackend.create_key

    def create_key(self: Any, policy: Any, key_usage: Any, *rest: Any, **named: Any) -> Any:
        return create(self, policy, key_usage or "ENCRYPT_DECRYPT", *rest, **named)

    KmsBackend.create_key = create_key


def _patch_rotation(now: Any) -> None:
    """EnableKeyRotation: moto drops the period, which AWS returns with the next rotation."""
    from moto.kms.responses import KmsResponse

    enable, status = KmsResponse.enable_key_rotation, KmsResponse.get_key_rotation_status

    def key_of(self: Any) -> Any:
        return self.kms_backend.keys[self.kms_backend.get_key_id(self._get_param("KeyId"))]

    def enable_key_rotation(self: Any) -> Any:
        answer = enable(self)
        key = key_of(self)
        key.rotation_period_days = self._get_param("RotationPeriodInDays") or _DEFAULT_DAYS
        key.rotation_enabled_at = now()
        return answer

    def get_key_rotation_status(self: Any) -> Any:
        answer = json.loads(status(self))
        key = key_of(self)
        answer["KeyId"] = key.arn
        if answer["KeyRotationEnabled"]:
            days = getattr(key, "rotation_period_days", _DEFAULT_DAYS)
            since: datetime | None = getattr(key, "rotation_enabled_at", None)
            answer["RotationPeriodInDays"] = days
            if since is not None:
                answer["NextRotationDate"] = (since + timedelta(days=days)).timestamp()
        return json.dumps(answer)

    KmsResponse.enable_key_rotation = enable_key_rotation
    KmsResponse.get_key_rotation_status = get_key_rotation_status


def _patch_policy_name() -> None:
    """GetKeyPolicy, PutKeyPolicy: moto requires the policy's name, whose default is `default`.

    Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
    """
    from moto.kms.responses import KmsResponse

    read, write = KmsResponse.get_key_policy, KmsResponse.put_key_policy

    def get_key_policy(self: Any) -> Any:
        self.body = json.dumps({"PolicyName": _DEFAULT_POLICY, **json.loads(self.body)})
        return json.dumps({**json.loads(read(self)), "PolicyName": _DEFAULT_POLICY})

    def put_key_policy(self: Any) -> Any:
        self.body = json.dumps({"PolicyName": _DEFAULT_POLICY, **json.loads(self.body)})
        return write(self)

    KmsResponse.get_key_policy = get_key_policy
    KmsResponse.put_key_policy = put_key_policy
