"""The SageMaker Python SDK 2, unchanged: a Processor, and a ScriptProcessor with its own script.

Reads AWS_ENDPOINT_URL, ROLE, IMAGE, BUCKET and SCRIPT from the environment; prints a line of JSON.
"""

import json
import os

import boto3
import sagemaker
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor, ScriptProcessor

BUCKET = os.environ["BUCKET"]

session = sagemaker.Session(boto3.session.Session(), default_bucket=BUCKET)
data = session.upload_string_as_file_body("1,2\n3,4\n", BUCKET, "rows/rows.csv")
common = {
    "role": os.environ["ROLE"],
    "image_uri": os.environ["IMAGE"],
    "instance_count": 1,
    "instance_type": "ml.m5.large",
    "sagemaker_session": session,
}
inputs = [ProcessingInput(source=data, destination="/opt/ml/processing/input")]
outputs = [ProcessingOutput(output_name="out", source="/opt/ml/processing/output")]
script = ScriptProcessor(command=["python3"], **common)
script.run(os.environ["SCRIPT"], inputs=inputs, outputs=outputs, arguments=["--by", "2"])
job = script.latest_job
uri = job.describe()["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
found = session.read_s3_file(BUCKET, f"{uri.split('/', 3)[3]}/rows.json")
plain = Processor(entrypoint=["python3", "-c", "raise SystemExit('it cannot')"], **common)
try:
    plain.run()
    failure = ""
except Exception as error:
    failure = str(error)
print()
print(
    json.dumps(
        {
            "status": job.describe()["ProcessingJobStatus"],
            "found": json.loads(found),
            "failed": "it cannot" in failure,
        }
    )
)
