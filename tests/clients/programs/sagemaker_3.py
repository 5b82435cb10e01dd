"""The SageMaker Python SDK 3, unchanged: roles, train, build, deploy, invoke, read, delete.

Reads AWS_ENDPOINT_URL, ROLE (a role without permissions), IMAGE and BUCKET from the environment;
prints one line of JSON.
"""

import json
import os

import boto3
from sagemaker.core.helper.iam_role_resolver import IamRoleResolver, RoleValidationError
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import MetricDefinition, OutputDataConfig
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData

BUCKET, IMAGE = os.environ["BUCKET"], os.environ["IMAGE"]

session = Session(boto3.session.Session(), default_bucket=BUCKET)
data = session.upload_string_as_file_body("1,2\n3,4\n", BUCKET, "data/train.csv")
resolver = IamRoleResolver(session)
try:
    resolver.resolve_and_validate_role(os.environ["ROLE"], "training")
    refused = ""
except RoleValidationError as error:
    refused = str(error)
roles = {kind: resolver.create_execution_role(kind) for kind in ("training", "serving")}
trainer = ModelTrainer(
    training_image=IMAGE,
    role=roles["training"],
    sagemaker_session=session,
    base_job_name="by-sdk-3",
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"answer": "by SDK 3"},
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/out"),
).with_metric_definitions([MetricDefinition(name="accuracy", regex="accuracy=([0-9.]+)")])
trainer.train([InputData(channel_name="train", data_source=data)])
job = TrainingJob.get(trainer._latest_training_job.training_job_name)
builder = ModelBuilder(
    s3_model_data_url=job.model_artifacts.s3_model_artifacts,
    image_uri=IMAGE,
    role_arn=roles["serving"],
    sagemaker_session=session,
    instance_type="ml.m5.large",
)
model = builder.build(model_name="by-sdk-3")
endpoint = builder.deploy(endpoint_name="by-sdk-3", initial_instance_count=1)
answer = endpoint.invoke(body=b"5.1,3.5", content_type="text/csv").body.read().decode()
read = Endpoint.get("by-sdk-3")
listed = [e.endpoint_name for e in Endpoint.get_all(name_contains="by-sdk-3")]
config = EndpointConfig.get(read.endpoint_config_name)
endpoint.delete()
endpoint.wait_for_delete()
config.delete()
Model.get("by-sdk-3").delete()
for kind in roles:
    resolver.delete_execution_role(kind)
print()
print(
    json.dumps(
        {
            "refused": refused,
            "roles": roles,
            "status": job.training_job_status,
            "metrics": {m.metric_name: m.value for m in job.final_metric_data_list},
            "model_data": job.model_artifacts.s3_model_artifacts,
            "answer": answer,
            "endpoint": [read.endpoint_status, config.production_variants[0].instance_type],
            "listed": listed,
            "left": [e.endpoint_name for e in Endpoint.get_all(name_contains="by-sdk-3")],
        }
    )
)
