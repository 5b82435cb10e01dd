"""Properties of instance types, by their names. Pure.

Source: https://aws.amazon.com/sagemaker/ai/pricing/
"""

import re

# `d` after the number: local NVMe storage, as in m5d. Accelerated families have it, too.
_LOCAL_STORAGE = re.compile(r"ml\.(?:[a-z]+\d[a-z]*d[a-z]*|[gp]\d|trn\d|i\d)")


def has_local_storage(instance_type: str) -> bool:
    """Return whether instances of a type have local storage.

    The hardware encrypts it, and SageMaker then refuses a KMS key for volumes.
    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
    """
    return _LOCAL_STORAGE.match(instance_type) is not None
