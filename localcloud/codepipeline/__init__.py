"""CodePipeline: executions move through locked stages, and approvals wait for a person.

plan.py                 the next steps: locks, superseding, run order, conditions (pure); read this
                        first
engine.py               carries the steps out and stores the records
execution_lifecycle.py  new executions, retries, rollbacks and abandonment (pure)
rollback.py             the executions that a stage may be rolled back to (pure)
actions/                the action types
rules.py                the rule types; conditions.py evaluates conditions
variables.py            #{Namespace.Key}, Fn::GetParam and Fn::GetArtifactAtt (pure)
declaration.py          validates a pipeline's declaration (pure)
catalogue.py            the action and rule types, for the API (pure)
state_changes.py        the events of a change (pure)
polling.py              starts pipelines whose polled sources changed
model.py                records and their legal transitions
api.py                  the operations on pipelines; running_api.py, history_api.py and jobs_api.py
                        have the others
views.py                pipelines and executions in the shapes of the API (pure)
"""
