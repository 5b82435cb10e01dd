"""SageMaker, live: training jobs are processes, endpoints are fleets of server processes.

model.py      records and their legal transitions
validation.py cross-field rules of the API
api.py        the operations
training.py   one task a training job: download, run, upload
hosting.py    fleets of instances and their updates
instance.py   one server process
runtime.py    the invocation path
"""
