"""Runs the unmodified Pulumi program in process and makes its resources by boto3.

project.py   Pulumi.yaml and Pulumi.<stack>.yaml → configuration
monitor.py   Pulumi's own test monitor, whose resources are real
plan.py      one resource: same, create, update, replace or delete; pure, shared by up and preview
engine.py    one deployment: the order of things, protection, and what is gone at the end
effects.py   what is done to the cloud; nothing, for a preview
types/       a table a service: Pulumi type → API calls
archives.py  Pulumi's assets and archives → zip bytes
state.py     the stacks' state, kept by the local cloud itself
"""
