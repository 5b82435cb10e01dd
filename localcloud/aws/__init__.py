"""What "AWS over HTTP" means, for every service alike; no service is known here.

routing.py      which service, account and region a request is for (pure)
protocol.py     requests parsed and validated, and responses written, by botocore's models
pagination.py   pages of a list operation and their tokens
errors.py       the errors that reach a client, with AWS's codes and statuses
"""
