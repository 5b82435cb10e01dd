"""SageMaker, live: training jobs are processes, endpoints are fleets of server processes.

model.py      records and their legal transitions
hosting_api.py   operations: models, endpoint configurations, endpoints
training_api.py  operations: training jobs
tags.py          operations: tags; and what the others share
training.py   one task a training job: download, run, upload
hosting.py    fleets of instances and their updates
instance.py   one server process
runtime.py    the invocation path
"""
