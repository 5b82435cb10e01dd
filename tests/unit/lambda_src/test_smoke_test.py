"""The smoke test's handler: its request, its score, and one result on every path."""

import io
import zipfile
from collections.abc import Callable

import pytest
from botocore.exceptions import ReadTimeoutError

from lambda_src.smoke_test import handler
from tests.archives import zip_of
from tests.unit.lambda_src.fake_aws import AwsError, FakeAws, pipeline_event

PARAMETERS = {
    "endpointName": "iris-model-development",
    "endpointConfigName": "deployed",
    "minimumAccuracy": 0.75,
    "metric": "accuracy",
    "header": False,
}
ROWS = ["setosa,5.1,3.5", "virginica,6.3,3.3", "setosa,4.9,3.0", "versicolor,7.0,3.2"]
LABELS = [row.split(",")[0] for row in ROWS]


@pytest.fixture
def dataset(aws: FakeAws) -> Callable[[bytes], None]:
    def put(body: bytes) -> None:
        aws.objects["artifacts", "pipeline/Dataset/abc"] = body

    put(zip_of({"train.csv": "", "validation.csv": "\n".join(ROWS) + "\n"}))
    return put


@pytest.mark.usefixtures("dataset")
def test_right_answers_succeed_with_accuracy_and_rows(aws: FakeAws) -> None:
    aws.endpoint = lambda _: "\n".join(LABELS)
    handler(pipeline_event(PARAMETERS), None)
    answer = aws.success()
    assert answer["outputVariables"] == {"Metric": "accuracy", "Score": "1.0000", "Rows": "4"}
    assert answer["executionDetails"]["summary"] == (
        "endpoint iris-model-development: 4 of 4 rows correct, accuracy 1.0000"
    )


@pytest.mark.usefixtures("dataset")
def test_the_endpoint_is_invoked_with_csv_without_labels(aws: FakeAws) -> None:
    aws.endpoint = lambda _: "\n".join(LABELS)
    handler(pipeline_event(PARAMETERS), None)
    assert aws.made("InvokeEndpoint") == [
        {
            "EndpointName": "iris-model-development",
            "ContentType": "text/csv",
            "Accept": "text/csv",
            "Body": b"5.1,3.5\n6.3,3.3\n4.9,3.0\n7.0,3.2\n",
        }
    ]


@pytest.mark.usefixtures("dataset")
def test_the_dataset_is_read_with_the_credentials_of_the_event(aws: FakeAws) -> None:
    handler(pipeline_event(PARAMETERS), None)
    assert {c.access_key for c in aws.calls if c.operation == "GetObject"} == {"artifact"}


@pytest.mark.usefixtures("dataset")
def test_exactly_the_minimum_accuracy_passes(aws: FakeAws) -> None:
    aws.endpoint = lambda _: "\n".join([*LABELS[:3], "wrong"])
    handler(pipeline_event(PARAMETERS), None)
    assert aws.success()["outputVariables"]["Score"] == "0.7500"


@pytest.mark.usefixtures("dataset")
def test_too_many_wrong_answers_fail_with_the_count(aws: FakeAws) -> None:
    aws.endpoint = lambda _: "\n".join([*LABELS[:2], "wrong", "wrong"])
    handler(pipeline_event(PARAMETERS), None)
    assert aws.failure() == (
        "JobFailed",
        "endpoint iris-model-development: 2 of 4 rows correct, accuracy 0.5000, "
        "below the minimum of 0.75",
    )


@pytest.mark.usefixtures("dataset")
@pytest.mark.parametrize("answers", ["", "setosa", "setosa\n" * 5])
def test_too_few_or_too_many_predictions_fail(aws: FakeAws, answers: str) -> None:
    aws.endpoint = lambda _: answers
    handler(pipeline_event(PARAMETERS), None)
    count = answers.count("setosa")
    assert aws.failure() == (
        "JobFailed",
        f"endpoint iris-model-development returned {count} predictions for 4 rows",
    )


@pytest.mark.usefixtures("dataset")
def test_an_error_of_the_endpoint_fails_the_test_with_its_message(aws: FakeAws) -> None:
    aws.errors["InvokeEndpoint"] = AwsError("ModelError", "Received server error (500)", 424)
    handler(pipeline_event(PARAMETERS), None)
    kind, message = aws.failure()
    assert kind == "JobFailed"
    assert "Received server error (500)" in message


def test_at_most_fifty_rows_are_sent(aws: FakeAws, dataset: Callable[[bytes], None]) -> None:
    dataset(zip_of({"iris/validation.csv": "a,1\n" * 200}))
    aws.endpoint = lambda rows: "a\n" * rows.count("\n")
    handler(pipeline_event(PARAMETERS), None)
    variables = {"Metric": "accuracy", "Score": "1.0000", "Rows": "50"}
    assert aws.success()["outputVariables"] == variables


def test_a_header_is_not_sent(aws: FakeAws, dataset: Callable[[bytes], None]) -> None:
    dataset(zip_of({"validation.csv": "species,width\n" + "a,1\n" * 60}))
    aws.endpoint = lambda rows: "a\n" * rows.count("\n")
    handler(pipeline_event({**PARAMETERS, "header": True}), None)
    assert aws.success()["outputVariables"]["Rows"] == "50"
    (asked,) = aws.made("InvokeEndpoint")
    assert asked["Body"] == b"1\n" * 50


def test_without_validation_rows_training_rows_are_sent(
    aws: FakeAws, dataset: Callable[[bytes], None]
) -> None:
    dataset(zip_of({"train.csv": "\n".join(ROWS)}))
    aws.endpoint = lambda _: "\n".join(LABELS)
    handler(pipeline_event(PARAMETERS), None)
    assert aws.success()["outputVariables"]["Rows"] == "4"


@pytest.mark.parametrize(
    ("answers", "score"), [("10\n20\n30\n", "1.0000"), ("12\n20\n28\n", "0.9600")]
)
def test_a_regression_is_judged_by_r2(
    aws: FakeAws, dataset: Callable[[bytes], None], answers: str, score: str
) -> None:
    dataset(zip_of({"validation.csv": "10,1\n20,2\n30,3\n"}))
    aws.endpoint = lambda _: answers
    handler(pipeline_event({**PARAMETERS, "metric": "r2"}), None)
    answer = aws.success()
    assert answer["outputVariables"] == {"Metric": "r2", "Score": score, "Rows": "3"}
    assert answer["executionDetails"]["summary"].endswith(f"3 rows, r2 {score}")


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ("20\n20\n20\n", "3 rows, r2 0.0000, below the minimum of 0.75"),
        ("10\nnan\n30\n", "prediction of endpoint iris-model-development 'nan' is not a number"),
        ("10\nhigh\n30\n", "prediction of endpoint iris-model-development 'high' is not a number"),
    ],
)
def test_a_regression_with_a_low_r2_or_invalid_values_fails(
    aws: FakeAws, dataset: Callable[[bytes], None], answers: str, reason: str
) -> None:
    dataset(zip_of({"validation.csv": "10,1\n20,2\n30,3\n"}))
    aws.endpoint = lambda _: answers
    handler(pipeline_event({**PARAMETERS, "metric": "r2"}), None)
    kind, message = aws.failure()
    assert kind == "JobFailed"
    assert reason in message


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"no zip", "artifact DatasetArtifact is not a zip file"),
        (zip_of({}), "artifact DatasetArtifact must hold one validation.csv, not 0"),
        (
            zip_of({"a/validation.csv": "x,1", "b/validation.csv": "x,1"}),
            "artifact DatasetArtifact must hold one validation.csv, not 2",
        ),
        (zip_of({"validation.csv": "\n\n"}), "validation.csv has no rows"),
        (zip_of({"validation.csv": b"\xff\xfe"}), "validation.csv is not readable text: "),
    ],
)
def test_a_dataset_without_rows_is_a_configuration_error(
    aws: FakeAws, dataset: Callable[[bytes], None], body: bytes, reason: str
) -> None:
    dataset(body)
    handler(pipeline_event(PARAMETERS), None)
    kind, message = aws.failure()
    assert kind == "ConfigurationError"
    assert message.startswith(reason)


def test_a_missing_dataset_fails(aws: FakeAws) -> None:
    handler(pipeline_event(PARAMETERS), None)
    assert aws.failure() == (
        "ConfigurationError",
        "artifact DatasetArtifact: s3://artifacts/pipeline/Dataset/abc does not exist",
    )


@pytest.mark.usefixtures("dataset")
def test_an_endpoint_that_was_rolled_back_fails_although_it_answers(aws: FakeAws) -> None:
    aws.endpoint = lambda _: "\n".join(LABELS)
    aws.config = "before"
    handler(pipeline_event(PARAMETERS), None)
    assert aws.failure() == (
        "JobFailed",
        "endpoint iris-model-development has the configuration before and not deployed, which was "
        "deployed: SageMaker rolled the update back.",
    )
    assert aws.made("InvokeEndpoint") == []


def test_only_the_rows_that_are_asked_for_are_fetched(aws: FakeAws) -> None:
    rows = "".join(f"setosa,{number}\n" for number in range(2_000_000))
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("validation.csv", rows)
    aws.objects["artifacts", "pipeline/Dataset/abc"] = body.getvalue()
    aws.endpoint = lambda asked: "setosa\n" * asked.count("\n")
    handler(pipeline_event(PARAMETERS), None)
    assert aws.success()["outputVariables"]["Rows"] == "50"
    ranges = [
        [int(end) for end in call["Range"].removeprefix("bytes=").split("-")]
        for call in aws.made("GetObject")
    ]
    fetched = sum(last - first + 1 for first, last in ranges)
    assert fetched < 6 * 1024 * 1024 < len(body.getvalue())


def test_a_line_without_an_end_is_refused(aws: FakeAws, dataset: Callable[[bytes], None]) -> None:
    dataset(zip_of({"validation.csv": "a," + "1" * (1024 * 1024 + 1)}))
    handler(pipeline_event(PARAMETERS), None)
    assert "a line of more than 1048576 characters" in aws.failure()[1]


@pytest.mark.usefixtures("dataset")
def test_an_endpoint_that_does_not_answer_fails_before_the_functions_time(aws: FakeAws) -> None:
    aws.errors["InvokeEndpoint"] = ReadTimeoutError(endpoint_url="https://runtime")
    handler(pipeline_event(PARAMETERS), None)
    assert "did not answer in time" in aws.failure()[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"endpointName": ""},
        {"minimumAccuracy": "0.9"},
        {"minimumAccuracy": True},
        {"metric": "#{Train.Metric}"},
    ],
)
def test_invalid_parameters_are_named(aws: FakeAws, changes: dict[str, object]) -> None:
    handler(pipeline_event({**PARAMETERS, **changes}), None)
    kind, message = aws.failure()
    assert kind == "ConfigurationError"
    assert message.startswith(f"UserParameters: {next(iter(changes))} must be ")


@pytest.mark.usefixtures("dataset")
def test_an_endpoint_of_another_account_is_invoked_with_that_accounts_role(aws: FakeAws) -> None:
    aws.endpoint = lambda _: "\n".join(LABELS)
    role = "arn:aws:iam::210987654321:role/mlops-iris-model-prd-invoke-us-east-1"
    handler(pipeline_event({**PARAMETERS, "roleArn": role}), None)
    aws.success()
    (assumed,) = aws.made("AssumeRole")
    assert assumed["RoleArn"] == role
    assert {c.access_key for c in aws.calls if c.operation == "InvokeEndpoint"} == {f"as {role}"}
