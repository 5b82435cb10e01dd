"""Application Auto Scaling, live: target tracking on the variants of SageMaker endpoints.

decision.py   pure: metric, policy and capacity → the new capacity and why
model.py      records
engine.py     alarms in, UpdateEndpointWeightsAndCapacities out, one activity a change
api.py        the operations
"""
