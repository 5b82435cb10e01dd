"""The parts of "AWS over HTTP" that all services share; nothing here knows a service.

routing.py      the service, region and account that a request is for (pure)
protocol.py     requests parsed and validated, and responses written, by botocore's models
request_limits.py  size, region and signature, before anything is parsed (pure)
pagination.py   pages of a list operation and their tokens
rest_paths.py   the operation that a REST request names by its method and path
errors.py       the errors that reach a client, with AWS's codes and statuses
"""
