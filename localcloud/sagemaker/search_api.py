"""The operation Search.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html
Differs: supports six resources; Search of any other answers 501.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from localcloud.aws.errors import NotImplementedByCloud, ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.sagemaker import registry_api, training_api
from localcloud.sagemaker.hosting_api import HostingApi
from localcloud.sagemaker.listing import Order, pages
from localcloud.sagemaker.models_api import ModelsApi
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.search import fits, sort_key
from localcloud.sagemaker.tags import Tags
from localcloud.sagemaker.training_api import TrainingApi
from localcloud.sagemaker.tuning_api import TuningApi

# Pairs of ARN and document, in the shape of the Describe operation.
_Documents = Iterable[tuple[str, dict[str, Any]]]


class SearchApi:
    """The operation Search."""

    def __init__(
        self,
        tags: Tags,
        training: TrainingApi,
        tuning: TuningApi,
        models: ModelsApi,
        hosting: HostingApi,
        registry: Registry,
    ) -> None:
        self._tags = tags
        self._documents: dict[str, Callable[[], _Documents]] = {
            "TrainingJob": lambda: (
                (r.arn, training_api.describe(r)) for r in training.jobs.values()
            ),
            "HyperParameterTuningJob": lambda: (
                (r.arn, tuning.describe(r)) for r in tuning.jobs.values()
            ),
            "Endpoint": lambda: ((r.arn, hosting.describe(r)) for r in hosting.endpoints.values()),
            "Model": lambda: ((r.arn, models.describe(r)) for r in models.models.values()),
            "ModelPackage": lambda: (
                (r.arn, registry_api.describe(r)) for r in registry.packages.values()
            ),
            "ModelPackageGroup": lambda: (
                (r.arn, registry_api.group_summary(r)) for r in registry.groups.values()
            ),
        }

    @operation("Search")
    def search(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        resource = params["Resource"]
        documents = self._documents.get(resource)
        if documents is None:
            raise NotImplementedByCloud("sagemaker", f"Search of {resource}")
        if params.get("VisibilityConditions"):
            raise ValidationError("The local cloud does not support VisibilityConditions.")
        if params.get("CrossAccountFilterOption") == "CrossAccount":
            return {"Results": []}  # nothing is shared between accounts here
        prefix = scope.arn("sagemaker", "")
        expression = params.get("SearchExpression", {})
        found: list[tuple[str, dict[str, Any]]] = []
        for arn, described in documents():
            if arn.startswith(prefix):
                document = {k: v for k, v in described.items() if v is not None}
                tags = self._tags.of(arn)
                document |= {"Tags": tags} if tags else {}
                if fits(document, expression):
                    found.append((arn, document))
        by = params.get("SortBy", "LastModifiedTime")
        order = Order(by, keys={by: lambda entry: sort_key(entry[1], by)})
        shown, more = pages(found, params, order, lambda entry: entry[0])
        return {"Results": [_record(resource, document) for _, document in shown], **more}


def _record(resource: str, document: dict[str, Any]) -> dict[str, Any]:
    return {resource: {"Model": document} if resource == "Model" else document}
