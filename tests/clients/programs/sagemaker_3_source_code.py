"""The SageMaker Python SDK 3, unchanged: a trainer that runs a script of this directory.

Reads AWS_ENDPOINT_URL, ROLE, IMAGE, BUCKET and SOURCE from the environment; prints a line of JSON.
"""

import json
import os

import boto3
from sagemaker.core.helper.iam_role_resolver import IamRoleResolver
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import TrainingJob
from sagemaker.core.shapes import OutputDataConfig
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

BUCKET = os.environ["BUCKET"]

session = Session(boto3.session.Session(), default_bucket=BUCKET)
data = session.upload_string_as_file_body("1,2\n3,4\n", BUCKET, "data/train.csv")
resolver = IamRoleResolver(session)
trainer = ModelTrainer(
    training_image=os.environ["IMAGE"],
    role=resolver.create_execution_role("training"),
    sagemaker_session=session,
    base_job_name="source-code",
    source_code=SourceCode(source_dir=os.environ["SOURCE"], entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"depth": 3},
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/out"),
)
trainer.train([InputData(channel_name="train", data_source=data)])
job = TrainingJob.get(trainer._latest_training_job.training_job_name)
resolver.delete_execution_role("training")
print()
print(
    json.dumps({"status": job.training_job_status, "model": job.model_artifacts.s3_model_artifacts})
)
