"""SageMaker, live: jobs are processes, endpoints are fleets of server processes.

operations, each in a file of its own: *_api.py
models_api.py     models, endpoint configurations      hosting_api.py   endpoints
training_api.py   training jobs                        tuning_api.py    tuning jobs
transform_api.py  batch transform jobs                 registry_api.py  model packages, groups
search_api.py     Search                               tags.py          tags

what they have in common
listing.py        filters, order and pages             notices.py       events on EventBridge
model.py, jobs.py records and their legal transitions  s3_source.py     prefixes and manifests

jobs
training.py       one task a training job: download, run, upload
tuning_plan.py    candidates and what is next (pure)   tuning.py        carries it out
batches.py        records and answers (pure)           transform.py     carries it out
registry.py       completes packages                   search.py        filters (pure)

hosting
hosting.py        endpoints and their updates          fleets.py        how instances are made
shifting.py       how traffic moves (pure)             rollback.py      alarms meanwhile
instance.py       one server process                   asking.py        one request, its copies
runtime.py        the invocation path                  capture.py       samples to S3
endpoint_views.py endpoints as the API shows them
"""
