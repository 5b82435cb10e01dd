"""SageMaker: jobs are processes, and endpoints are fleets of server processes.

the operations, a file for each resource
models_api.py     models, endpoint configurations      hosting_api.py   endpoints
training_api.py   training jobs                        tuning_api.py    tuning jobs
transform_api.py  batch transform jobs                 registry_api.py  model packages, groups
processing_api.py processing jobs                      search_api.py    Search
tags.py           tags

shared
listing.py        filters, order and pages             state_changes.py events on EventBridge
model.py, jobs.py records and their legal transitions  s3_source.py     prefixes and manifests
containers.py     images, credentials, keys, downloads

jobs
training.py       runs a training job: download, run, upload
processing.py     runs a processing job                processing_outputs.py   its files to S3
tuning_plan.py    the next candidates (pure)           tuning.py        runs tuning jobs
batches.py        records and responses (pure)         transform.py     runs transform jobs
registry.py       the model registry                   search.py        search filters (pure)

hosting
hosting.py        endpoints and their updates          fleets.py        the instances of a variant
shifting.py       the steps of traffic (pure)          rollback.py      the alarms of a rollback
runtime.py        the invocation path                  capture.py       data capture to S3
instance.py       one server process                   instance_client.py  requests to an instance
connection.py     HTTP to an instance                  endpoint_views.py   endpoints for the API
"""
