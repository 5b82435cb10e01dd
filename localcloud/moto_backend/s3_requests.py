"""The checks of requests to S3 that moto would take for others, or of which it would drop a part.

moto looks for the subresources that it knows, such as `?tagging`, and answers the rest as if there
were none: DELETE with `?analytics&id=1` would delete the bucket, and PUT with `?renameObject` would
empty the object. Pure, but for `check_owner`, which asks moto.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Request

_BUCKET = "acl accelerate cors encryption lifecycle logging notification object-lock policy "
_BUCKET += "ownershipControls publicAccessBlock replication tagging versioning website inventory"
# (method, whether the request is for an object) → the subresources that moto answers.
_ANSWERED = {
    ("GET", False): f"{_BUCKET} location policyStatus uploads versions list-type",
    ("HEAD", False): "",
    ("PUT", False): _BUCKET,
    ("POST", False): "delete",
    ("DELETE", False): "cors encryption lifecycle ownershipControls policy publicAccessBlock "
    "replication tagging website",
    ("GET", True): "acl attributes legal-hold tagging uploadId partNumber",
    ("HEAD", True): "partNumber",
    ("PUT", True): "acl legal-hold partNumber retention tagging uploadId",
    ("POST", True): "restore select select-type uploadId uploads",
    ("DELETE", True): "tagging uploadId",
}
ANSWERED = {where: frozenset(names.split()) for where, names in _ANSWERED.items()}
# Every parameter of a query by which S3 tells its operations apart.
SUBRESOURCES = frozenset().union(
    *ANSWERED.values(),
    ("abac", "analytics", "annotation", "annotationName", "intelligent-tiering"),
    ("metadataAnnotationTable", "metadataConfiguration", "metadataInventoryTable"),
    ("metadataJournalTable", "metadataTable", "metrics", "renameObject", "requestPayment"),
    ("session", "torrent"),
)
# Headers that moto drops, as patterns.
_DROPPED = re.compile(
    r"x-amz-(?:copy-source-)?server-side-encryption-customer-(?:algorithm|key|key-md5)"
    r"|x-amz-server-side-encryption-context|x-amz-write-offset-bytes|x-amz-object-lock-event-.+"
)
_GRANT = re.compile(r'\s*(?:id|uri|emailAddress)\s*=\s*(?:"[^"]*"|[^\s,"]+)\s*')


def is_answered(request: Request) -> bool:
    """Return whether moto knows the operation of a request."""
    names = {name for name, _ in parse_qsl(request.query, keep_blank_values=True)}
    is_object = bool(request.path.lstrip("/").partition("/")[2])
    answered = ANSWERED.get((request.method, is_object), frozenset())
    return names & SUBRESOURCES <= answered


def check_headers(request: Request) -> None:
    """Refuse headers that would have no effect, and grants that are none.

    Raises:
        AwsError: NotImplemented, which names the header; InvalidArgument for a grant.
    """
    for name, value in request.headers.items():
        if _DROPPED.fullmatch(name):
            text = f"The local cloud does not implement the header {name}; leave it out."
            raise AwsError("NotImplemented", text, 501)
        if name.startswith("x-amz-grant-") and not all(
            _GRANT.fullmatch(grant) for grant in value.split(",")
        ):
            raise AwsError("InvalidArgument", "Argument format not recognized")


def check_owner(request: Request) -> None:
    """Refuse a request whose bucket belongs to another account than it expects.

    Call it in moto's thread.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html

    Raises:
        AwsError: AccessDenied.
    """
    from moto.s3.models import s3_backends

    for header, path in (
        ("x-amz-expected-bucket-owner", request.path),
        ("x-amz-source-expected-bucket-owner", request.headers.get("x-amz-copy-source", "")),
    ):
        expected = request.headers.get(header)
        bucket = path.lstrip("/").partition("/")[0]
        found = s3_backends.bucket_accounts.get(bucket)
        owner = found[1] if found else None
        if expected is not None and owner is not None and expected != owner:
            raise AwsError("AccessDenied", "Access Denied", 403)
