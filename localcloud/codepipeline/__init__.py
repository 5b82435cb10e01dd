"""CodePipeline, live: executions move through locked stages, approvals wait for a person.

model.py      records and their legal transitions
plan.py       pure: which step comes next (locks, superseding, run order)
variables.py  pure: #{Namespace.Key}, Fn::GetParam and artifacts
engine.py     carries the plan out and keeps the records
actions/      what each action provider does
api.py        the operations
views.py      pure: their answers about pipelines and executions
"""
