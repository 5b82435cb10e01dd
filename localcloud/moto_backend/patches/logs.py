"""Patches of CloudWatch Logs."""

from __future__ import annotations

from typing import Any


def patch() -> None:
    """Apply the patches."""
    _patch_keys()


def _patch_keys() -> None:
    """AssociateKmsKey and DisassociateKmsKey: moto lacks them, although it stores the key."""
    from moto.core.responses import EmptyResult
    from moto.logs.exceptions import ResourceNotFoundException
    from moto.logs.responses import LogsResponse

    def group(self: Any) -> Any:
        name = self._get_param("logGroupName")
        if not name:
            name = self._get_param("resourceIdentifier").partition(":log-group:")[2]
        found = self.logs_backend.groups.get(name.removesuffix(":*"))
        if found is None:
            raise ResourceNotFoundException
        return found

    def associate_kms_key(self: Any) -> Any:
        group(self).kms_key_id = self._get_param("kmsKeyId")
        return EmptyResult()

    def disassociate_kms_key(self: Any) -> Any:
        group(self).kms_key_id = None
        return EmptyResult()

    LogsResponse.associate_kms_key = associate_kms_key
    LogsResponse.disassociate_kms_key = disassociate_kms_key
