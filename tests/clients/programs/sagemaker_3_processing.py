"""The SageMaker Python SDK 3, unchanged: processors, and a trainer with a script of its own.

Reads AWS_ENDPOINT_URL, ROLE, IMAGE, BUCKET and SCRIPT from the environment; prints a line of JSON.
"""

import contextlib
import json
import os

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.processing import Processor, ScriptProcessor
from sagemaker.core.resources import ProcessingJob
from sagemaker.core.shapes import (
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)

BUCKET = os.environ["BUCKET"]

session = Session(boto3.session.Session(), default_bucket=BUCKET)
data = session.upload_string_as_file_body("1,2\n3,4\n", BUCKET, "rows/rows.csv")
common = {
    "role": os.environ["ROLE"],
    "image_uri": os.environ["IMAGE"],
    "instance_count": 1,
    "instance_type": "ml.m5.large",
    "sagemaker_session": session,
}
source = ProcessingS3Input(
    s3_uri=data,
    local_path="/opt/ml/processing/input",
    s3_data_type="S3Prefix",
    s3_input_mode="File",
)
target = ProcessingS3Output(
    s3_uri=f"s3://{BUCKET}/made",
    local_path="/opt/ml/processing/output",
    s3_upload_mode="EndOfJob",
)
script = ScriptProcessor(command=["python3"], base_job_name="by-sdk-3", **common)
script.run(
    os.environ["SCRIPT"],
    inputs=[ProcessingInput(input_name="in", s3_input=source)],
    outputs=[ProcessingOutput(output_name="out", s3_output=target)],
    arguments=["--by", "3"],
)
job = ProcessingJob.get(script.latest_job.processing_job_name)
found = session.read_s3_file(BUCKET, "made/rows.json")
plain = Processor(entrypoint=["python3", "-c", "raise SystemExit('it cannot')"], **common)
# The SDK means to raise for a failed job, by a name that botocore does not have (3.27.0).
with contextlib.suppress(AttributeError):
    plain.run()
failure = ProcessingJob.get(plain.latest_job.processing_job_name).failure_reason
print()
print(
    json.dumps(
        {
            "status": job.processing_job_status,
            "found": json.loads(found),
            "failed": "it cannot" in failure,
        }
    )
)
