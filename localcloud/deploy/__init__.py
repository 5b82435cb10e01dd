"""Runs the unmodified Pulumi program in process and makes its resources by boto3.

project.py   Pulumi.yaml and Pulumi.<stack>.yaml → configuration
monitor.py   Pulumi's own test monitor, whose resources are real
engine.py    one resource: same, create, update or replace; at the end what is gone is deleted
types/       a table a service: Pulumi type → API calls
archives.py  Pulumi's assets and archives → zip bytes
state.py     the stacks' state, kept by the local cloud itself
"""
