"""Patches of S3's events on EventBridge.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

# moto's name of an event → its detail-type, and the operation that is its reason.
_EVENTS = {
    "s3:ObjectCreated:Put": ("Object Created", "PutObject"),
    "s3:ObjectCreated:Post": ("Object Created", "POST Object"),
    "s3:ObjectCreated:Copy": ("Object Created", "CopyObject"),
    "s3:ObjectCreated:CompleteMultipartUpload": ("Object Created", "CompleteMultipartUpload"),
    "s3:ObjectTagging:Put": ("Object Tags Added", ""),
    "s3:ObjectTagging:Delete": ("Object Tags Deleted", ""),
    "s3:ObjectAcl:Put": ("Object ACL Updated", ""),
    "s3:ObjectRestore:Post": ("Object Restore Initiated", ""),
    "s3:ObjectRestore:Completed": ("Object Restore Completed", ""),
}
_EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
_sequence = itertools.count(1)


def patch(now: Callable[[], datetime]) -> None:
    """Apply the patches; `now` returns the AWS time."""
    _patch_details(now)
    _patch_deletions(now)
    _patch_tags()
    _patch_parts()


def _patch_details(now: Callable[[], datetime]) -> None:
    """Events: moto's have one id for all, a number as time, and details that AWS's have not.

    AWS names the operation as the reason, calls the entity tag `etag`, has no version without
    versioning, and gives each event an id, a request id and a sequencer.
    """
    from moto.s3 import notifications

    def send(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
        found = _EVENTS.get(str(getattr(event_name, "value", event_name)))
        if found is None:
            return  # deletions are sent by `_patch_deletions`
        detail_type, reason = found
        described = {"key": key.name, "size": key.size, "etag": key.etag.strip('"')}
        if "Tags" in detail_type or "ACL" in detail_type:
            del described["size"]
        _emit(now(), account_id, bucket, detail_type, described | _version(bucket, key), reason)

    notifications._send_event_bridge_message = send


def _patch_deletions(now: Callable[[], datetime]) -> None:
    """DeleteObject: moto sends nothing for a delete marker or for one version of several.

    AWS sends `Object Deleted` for each, with a deletion-type.
    """
    from moto.s3.models import S3Backend

    original = S3Backend.delete_object

    def delete_object(
        self: Any, bucket_name: str, key_name: str, version_id: str | None = None, **named: Any
    ) -> Any:
        bucket = self.get_bucket(bucket_name)
        before = [str(key.version_id) for key in bucket.keys.getlist(key_name, [])]
        answer = original(self, bucket_name, key_name, version_id=version_id, **named)
        configuration = bucket.notification_configuration
        if configuration is None or configuration.event_bridge is None or not answer[0]:
            return answer
        described: dict[str, Any] = {"key": key_name}
        kind = "Permanently Deleted"
        if bucket.is_versioned and version_id is None:
            kind = "Delete Marker Created"
            described |= {"etag": _EMPTY_ETAG, "version-id": str(answer[1]["version-id"])}
        elif version_id is not None:
            if str(version_id) not in before:
                return answer
            described["version-id"] = str(version_id)
        elif not before:
            return answer
        more = {"deletion-type": kind}
        _emit(now(), self.account_id, bucket, "Object Deleted", described, "DeleteObject", more)
        return answer

    S3Backend.delete_object = delete_object


def _patch_tags() -> None:
    """PutObject: moto sends `Object Tags Added` after each; AWS sends it for PutObjectTagging."""
    from moto.s3 import notifications
    from moto.s3.responses import S3Response

    send, put = notifications.send_event, S3Response.put_object_tagging
    tagging = [False]

    def send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
        added = event_name == notifications.S3NotificationEvent.OBJECT_TAGGING_PUT_EVENT
        if not added or tagging[0]:
            send(account_id, event_name, bucket, key)

    def put_object_tagging(self: Any) -> Any:
        tagging[0] = True
        try:
            return put(self)
        finally:
            tagging[0] = False

    notifications.send_event = send_event
    S3Response.put_object_tagging = put_object_tagging


def _patch_parts() -> None:
    """CompleteMultipartUpload: moto also sends the event of a PutObject."""
    from moto.s3.models import S3Backend

    original = S3Backend.put_object

    def put_object(self: Any, *arguments: Any, **named: Any) -> Any:
        if named.get("multipart") is not None:
            named["disable_notification"] = True
        return original(self, *arguments, **named)

    S3Backend.put_object = put_object


def _version(bucket: Any, key: Any) -> dict[str, str]:
    return {"version-id": str(key.version_id)} if bucket.is_versioned else {}


def _emit(
    now: datetime,
    account_id: str,
    bucket: Any,
    detail_type: str,
    described: dict[str, Any],
    reason: str,
    more: dict[str, str] | None = None,
) -> None:
    from moto.events.models import events_backends

    sequencer = f"{int(now.timestamp()) << 24 | next(_sequence) & 0xFFFFFF:018X}"
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": account_id,
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": {**described, "sequencer": sequencer},
            "request-id": secrets.token_hex(8).upper(),
            "requester": account_id,
            "source-ip-address": "127.0.0.1",
            **({"reason": reason} if reason else {}),
            **(more or {}),
        },
    }
    # S3 sends its events to the default bus only.
    bus = events_backends[account_id][bucket.region_name].event_buses["default"]
    for rule in list(bus.rules.values()):
        rule.send_to_targets(event, transform_input=False)
