"""CloudFormation, live: a stack is complete when every resource is really there.

model.py      records and statuses
template.py   pure: parse, intrinsics, conditions, order
resources.py  a table: resource type → API calls
changes.py    pure: what an update would do
engine.py     create, update, roll back and delete stacks
changesets.py the life of change sets
requests.py   what a request says, checked
api.py        the operations on stacks, changesets_api.py those on change sets
"""
