"""localcloud: a local AWS on LocalStack's port, in which the model pipeline really runs.

It imports nothing of the program that it runs. `components`, `model` and `lambda_src` meet it only
through AWS's own contracts: the HTTP APIs, the SageMaker container contract and the Lambda Runtime
API. Read `edge/gateway.py` first.
"""

__version__ = "0.1.0"
