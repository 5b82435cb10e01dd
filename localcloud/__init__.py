"""localcloud: a local AWS on LocalStack's port, in which the model pipeline really happens.

It imports nothing of the program that it runs: `components`, `model` and `lambda_src` meet it
only through AWS's own contracts (HTTP APIs, the SageMaker container contract, the Lambda Runtime
API). Read `gateway.py` first.
"""

__version__ = "0.1.0"
