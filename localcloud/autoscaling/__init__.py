"""Application Auto Scaling, live: the variants of SageMaker endpoints.

decision.py   pure: metric, target tracking policy and capacity → the new capacity and why
steps.py      pure: the same for step scaling
model.py      records
engine.py     alarms in, UpdateEndpointWeightsAndCapacities out, one activity a change
api.py        the operations on targets, policies_api.py on policies, scheduled_api.py on schedules
"""
