"""CloudFormation, live: a stack is complete when every resource is really there.

model.py      records and statuses
template.py   pure: parse, parameters, order; intrinsics.py functions and conditions, rules.py rules
evaluation.py pure: what a template comes to; exports.py who exports and imports
resources.py  resource type → API calls; nested.py stacks in stacks; handlers.py all of them
changes.py    pure: what an update would do
engine.py     create, update, roll back and delete stacks; ledger.py statuses and events
changesets.py the life of change sets
requests.py   what a request says, checked; sources.py where its template is
api.py        the operations on stacks, changesets_api.py on change sets, sharing_api.py the rest
"""
