"""CodePipeline, live: executions move through locked stages, approvals wait for a person.

model.py        records and their legal transitions
declaration.py  pure: what a pipeline may be; catalogue.py what it may be made of
plan.py         pure: which step comes next (locks, superseding, run order, conditions)
starting.py     pure: new executions, retries; rollback.py what a stage may go back to
variables.py    pure: #{Namespace.Key}, Fn::GetParam and artifacts
engine.py       carries the plan out and keeps the records
actions/        what each action provider does; rules.py what each rule, conditions.py runs them
polling.py      looks for changes of the sources that are polled
api.py          the operations on pipelines; running_api.py, history_api.py and jobs_api.py the rest
views.py        pure: their answers about pipelines and executions
"""
