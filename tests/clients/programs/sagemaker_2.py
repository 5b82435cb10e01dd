"""The SageMaker Python SDK, unchanged: train, deploy, predict, delete. Run by its own Python.

Reads AWS_ENDPOINT_URL, ROLE, IMAGE and BUCKET from the environment; prints one line of JSON.
"""

import json
import os

import boto3
import sagemaker
from sagemaker.deserializers import BytesDeserializer
from sagemaker.estimator import Estimator
from sagemaker.serializers import CSVSerializer

ROLE = os.environ["ROLE"]

session = sagemaker.Session(boto3.session.Session(), default_bucket=os.environ["BUCKET"])
data = session.upload_string_as_file_body("1,2\n3,4\n", os.environ["BUCKET"], "data/train.csv")
estimator = Estimator(
    image_uri=os.environ["IMAGE"],
    role=ROLE,
    instance_count=1,
    instance_type="ml.m5.large",
    hyperparameters={"answer": "by the SDK"},
    metric_definitions=[{"Name": "accuracy", "Regex": "validation:accuracy=([0-9.]+)"}],
    sagemaker_session=session,
)
estimator.fit({"train": data})
frame = estimator.latest_training_job.describe()
predictor = estimator.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    serializer=CSVSerializer(),
    deserializer=BytesDeserializer(),
)
answer = predictor.predict([5.1, 3.5]).decode()
predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large")
updated = predictor.predict([1, 2]).decode()
predictor.delete_model()
predictor.delete_endpoint()
print()
print(
    json.dumps(
        {
            "status": frame["TrainingJobStatus"],
            "metrics": {m["MetricName"]: m["Value"] for m in frame["FinalMetricDataList"]},
            "model_data": estimator.model_data,
            "answer": answer,
            "updated": updated,
        }
    )
)
