"""The names of the messages between the master and the workers of the load generator.

QUOTA_REQUEST  worker → master: the worker's quota lease is running low
QUOTA_GRANT    master → worker: the number of requests that the master grants
COUNTS         worker → master: the worker's counts, sent at once when all requests are answered
REPORT_KEY     worker → master: the key of our data in locust's own report
"""

from __future__ import annotations

QUOTA_REQUEST = "quota request"
QUOTA_GRANT = "quota grant"
COUNTS = "counts"
REPORT_KEY = "recorded"
