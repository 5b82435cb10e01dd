"""Properties of SageMaker's instance types. Pure, but for botocore's model, from which types come.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
"""

import re
from functools import cache

import botocore.session

# `d` after the number: local NVMe storage, as in m5d. Accelerated families have it, too.
_LOCAL_STORAGE = re.compile(r"ml\.(?:[a-z]+\d[a-z]*d[a-z]*|[gp]\d|trn\d|i\d)")
# `g` after the number: AWS's Arm processors, as in c7g and m6gd.
_ARM = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")
AMD64, ARM64 = "amd64", "arm64"
_BURSTABLE = re.compile(r"ml\.t\d")


def has_local_storage(instance_type: str) -> bool:
    """Return whether instances of a type have local storage.

    The hardware encrypts it, and SageMaker then refuses a KMS key for volumes.
    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
    """
    return _LOCAL_STORAGE.match(instance_type) is not None


def is_arm(instance_type: str) -> bool:
    """Return whether instances of a type have an Arm processor."""
    return _ARM.match(instance_type) is not None


def architecture(instance_type: str) -> str:
    """Return the architecture of images for a type, in Docker's words: ``amd64`` or ``arm64``."""
    return ARM64 if is_arm(instance_type) else AMD64


def is_burstable(instance_type: str) -> bool:
    """Return whether instances of a type have CPU credits; SageMaker does not scale them."""
    return _BURSTABLE.match(instance_type) is not None


@cache
def hosting_types() -> frozenset[str]:
    """Return the types that an endpoint may have."""
    return _enumeration("ProductionVariantInstanceType")


@cache
def training_types() -> frozenset[str]:
    """Return the types that a training job may have."""
    return _enumeration("TrainingInstanceType")


@cache
def processing_types() -> frozenset[str]:
    """Return the types that a processing job may have."""
    return _enumeration("ProcessingInstanceType")


def _enumeration(shape: str) -> frozenset[str]:
    loader = botocore.session.get_session().get_component("data_loader")
    shapes = loader.load_service_model("sagemaker", "service-2")["shapes"]
    return frozenset(shapes[shape]["enum"])
