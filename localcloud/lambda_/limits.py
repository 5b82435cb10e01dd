"""The sizes that Lambda allows, in bytes.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

from localcloud.core.archives import Bounds

MOST_UNZIPPED_BYTES = 262_144_000
# The ratio is ours: source code of over 16 MiB is never that compressible.
CODE_BOUNDS = Bounds(most_bytes=MOST_UNZIPPED_BYTES, most_entries=100_000)
# The largest response of a handler, as its error names it.
MOST_RESPONSE_BYTES = 6_291_556
# The largest X-Amz-Client-Context, in base64.
MOST_CLIENT_CONTEXT_BYTES = 3583
