"""Application Auto Scaling for the variants of SageMaker endpoints.

decision.py       the decision of target tracking (pure)
steps.py          the decision of step scaling (pure)
model.py          records
engine.py         carries decisions out, and records an activity for each change
simulator.py      simulates a day's traffic under a policy (pure)
api.py            the operations on targets; policies_api.py has those on policies, and
                  scheduled_api.py those on scheduled actions
"""
