"""Configurations of a bucket that S3 returns as they were sent."""

from __future__ import annotations

from typing import Any

# The subresource → the attribute of moto's bucket that keeps its document.
_KEPT = {"lifecycle": "lifecycle_document", "replication": "replication_document"}
_LEAST_SIZE = "x-amz-transition-default-minimum-object-size"
_DEFAULT_LEAST_SIZE = "all_storage_classes_128K"


def patch() -> None:
    """Apply the patches."""
    _patch_documents()


def _patch_documents() -> None:
    """GetBucketLifecycleConfiguration and GetBucketReplication: moto drops members.

    It knows no filters by size, no NewerNoncurrentVersions and no filters of replication. A rule
    whose filter is lost holds for every object. moto still checks what is sent.
    """
    from moto.s3.responses import S3Response

    put = S3Response._bucket_response_put
    readers = {name: getattr(S3Response, f"get_bucket_{name}") for name in _KEPT}

    def put_and_keep(self: Any, request: Any, bucket_name: str, querystring: Any) -> Any:
        answer = put(self, request, bucket_name, querystring)
        for name, attribute in _KEPT.items():
            if name in querystring:
                bucket = self.backend.get_bucket(bucket_name)
                setattr(bucket, attribute, bytes(self.body))
                least = request.headers.get(_LEAST_SIZE)
                if name == "lifecycle":
                    bucket.lifecycle_least_size = least or _DEFAULT_LEAST_SIZE
        return answer

    def reader(name: str) -> Any:
        def get(self: Any) -> Any:
            answer = readers[name](self)  # or an error, if there is none
            bucket = self.backend.get_bucket(self.bucket_name)
            document = getattr(bucket, _KEPT[name], None)
            if document is None:
                return answer
            headers = {"content-type": "application/xml"}
            if name == "lifecycle":
                headers[_LEAST_SIZE] = bucket.lifecycle_least_size
            return 200, headers, document.decode()

        return get

    S3Response._bucket_response_put = put_and_keep
    for name in _KEPT:
        setattr(S3Response, f"get_bucket_{name}", reader(name))
