"""CloudFormation, live: a stack is complete when every resource is really there.

model.py      records and statuses
template.py   pure: parse, intrinsics, conditions, order
resources.py  a table: resource type → API calls
engine.py     create, update, roll back and delete stacks
api.py        the operations
"""
