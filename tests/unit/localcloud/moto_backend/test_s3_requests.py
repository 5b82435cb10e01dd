"""Requests to S3 that moto would take for others."""

from __future__ import annotations

import botocore.loaders
import pytest

from localcloud.aws.routing import Request
from localcloud.moto_backend.s3_requests import ANSWERED, SUBRESOURCES, is_answered

pytestmark = pytest.mark.botocore_modelled
# Parameters of a query that do not tell operations apart.
_WITH_OTHERS = {"id"}


def test_every_subresource_of_the_model_is_known() -> None:
    loader = botocore.loaders.Loader(include_default_search_paths=True)
    model = loader.load_service_model("s3", "service-2")
    queries = [op["http"]["requestUri"].partition("?")[2] for op in model["operations"].values()]
    found = {part.partition("=")[0] for query in queries for part in query.split("&")} - {""}
    assert set() == found - _WITH_OTHERS - SUBRESOURCES


@pytest.mark.parametrize(
    ("method", "path", "query", "answered"),
    [
        ("GET", "/b", "", True),
        ("GET", "/b", "list-type=2&prefix=tagging", True),
        ("GET", "/b", "prefix=analytics", True),
        ("DELETE", "/b", "analytics&id=1", False),
        ("DELETE", "/b", "inventory&id=1", False),
        ("DELETE", "/b", "lifecycle", True),
        ("PUT", "/b", "analytics&id=1", False),
        ("PUT", "/b/k", "renameObject", False),
        ("PUT", "/b/k", "encryption", False),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", True),
        ("DELETE", "/b/k", "versionId=v", True),
        ("DELETE", "/b/k", "annotation&annotationName=a", False),
        ("GET", "/b/k", "retention", False),
        ("GET", "/b/k", "torrent=", False),
        ("GET", "/b/k", "response-content-type=text/plain", True),
    ],
)
def test_only_subresources_that_moto_knows_reach_it(
    method: str, path: str, query: str, *, answered: bool
) -> None:
    assert answered == is_answered(Request(method, path, path, query, {}, b"", "s3"))


def test_all_answered_subresources_are_subresources() -> None:
    assert frozenset().union(*ANSWERED.values()) <= SUBRESOURCES
