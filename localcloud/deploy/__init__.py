"""Runs the unmodified Pulumi program in process and deploys its resources with boto3.

stacks.py      entry points: up, preview and down of a stack
project.py     reads Pulumi.yaml and Pulumi.<stack>.yaml
monitor.py     runs the program under Pulumi's own test monitor, with real resources
refusals.py    what a program asks for and a deployment does not carry out; pure
plan.py        decides whether to create, update, replace or delete a resource; pure
refresh.py     brings the state up to date with AWS
reading.py     expresses what AWS has in the program's terms; pure
engine.py      runs one deployment: order, protection, deletion of unregistered resources
effects.py     changes the cloud; in a preview, changes nothing
types/         Pulumi resource types: which API calls create, read, update and delete each
shapes.py      converts Pulumi's values to the parameters of an API operation
archives.py    converts Pulumi's assets and archives to bytes
difference.py  lists the differences between two versions of a resource's inputs
paths.py       property paths of Pulumi's options, such as `tags.owner`
state.py       reads and writes the state of a stack, which the local cloud stores
functions.py   the results of provider functions; pure
plugin.py      a resource plug-in over types/, for Pulumi's own engine
plugin_values.py  Pulumi's values on the wire, as Python's; pure
errors.py      the errors of a deployment
"""
