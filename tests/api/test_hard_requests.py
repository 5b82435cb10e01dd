"""Requests that would stop the local cloud if anything took them at their word.

Each is refused or answered, and meanwhile the cloud answers everybody else.
"""

from __future__ import annotations

import gzip
import http.client
import io
import json
import socket
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.archives import zip_of
from tests.cloud import TestCloud, wait_for

SIGNATURE = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/{}/{}/aws4_request, Signature=0"


def send(
    cloud: TestCloud,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    service: str = "",
    region: str = "us-east-1",
    headers: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Send a request as it is; return the status and the body."""
    given = dict(headers or {})
    if service:
        given["Authorization"] = SIGNATURE.format(region, service)
    connection = http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    """Return code and message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html"
)
def test_a_template_of_aliases_is_refused(cloud: TestCloud) -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    body = "\n".join(["a0: &a0 [x]", *levels, "Resources: {A: {Type: AWS::Logs::LogGroup}}"])
    for operation in ("validate_template", "get_template_summary"):
        code, message = refusal(
            getattr(cloud.client("cloudformation"), operation), TemplateBody=body
        )
        assert code == "ValidationError"
        assert message == "Template error: YAML aliases are not allowed in CloudFormation templates"


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
)
@pytest.mark.parametrize("size", [51_201, 3_000_000])
def test_a_template_that_is_too_long_is_refused_before_it_is_parsed(
    cloud: TestCloud, size: int
) -> None:
    body = '{"Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}, "Metadata": "' + "{" * size + '"}'
    code, message = refusal(cloud.client("cloudformation").validate_template, TemplateBody=body)
    assert code == "ValidationError"
    assert "'templateBody' failed to satisfy constraint" in message
    assert "Member must have length less than or equal to 51200" in message


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
)
def test_a_template_in_s3_has_at_most_a_megabyte(cloud: TestCloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="hard-templates")
    url = f"{cloud.url}/hard-templates/template"
    start = '{"Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}, "Metadata": {"A": "'
    for size, expected in ((1_000_000, ""), (1_000_001, "may not exceed 1000000 bytes in size")):
        body = start + "x" * (size - len(start) - 3) + '"}}'
        s3.put_object(Bucket="hard-templates", Key="template", Body=body.encode())
        cloudformation = cloud.client("cloudformation")
        if expected:
            assert expected in refusal(cloudformation.validate_template, TemplateURL=url)[1]
        else:
            assert cloudformation.validate_template(TemplateURL=url)["Parameters"] == []
    s3.delete_object(Bucket="hard-templates", Key="template")
    s3.delete_bucket(Bucket="hard-templates")


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"
)
def test_a_wildcard_with_many_stars_is_matched_and_the_cloud_goes_on(cloud: TestCloud) -> None:
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="hard-wildcard")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:hard-wildcard"
    pattern = {"source": ["hard"], "detail": {"x": [{"wildcard": "*a" * 30 + "b"}]}}
    events.put_rule(Name="hard", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="hard", Targets=[{"Id": "q", "Arn": arn}])
    for end in ("c", "b"):
        detail = json.dumps({"x": "a" * 1000 + end})
        events.put_events(Entries=[{"Source": "hard", "DetailType": "t", "Detail": detail}])
    found: list[Any] = []

    def received() -> bool:
        found.extend(sqs.receive_message(QueueUrl=queue).get("Messages", []))
        return bool(found)

    wait_for("the event", received, 30)
    assert [json.loads(m["Body"])["detail"]["x"][-1] for m in found] == ["b"]
    events.remove_targets(Rule="hard", Ids=["q"])
    events.delete_rule(Name="hard")
    sqs.delete_queue(QueueUrl=queue)


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"
)
@pytest.mark.parametrize(
    ("settings", "code", "reason"),
    [
        (
            {"EventPattern": '{"a": [{"wildcard": "a**b"}]}'},
            "InvalidEventPatternException",
            "Event pattern is not valid. Reason: Consecutive wildcard characters at pos 1",
        ),
        ({"EventPattern": "[1]"}, "InvalidEventPatternException", "Filter is not an object"),
        ({"EventPattern": '{"a":' * 700}, "InvalidEventPatternException", "Invalid JSON"),
        ({"EventPattern": '{"a": [{}]}'}, "InvalidEventPatternException", "Only one key"),
        (
            {"ScheduleExpression": "rate(99999999 days)"},
            "ValidationException",
            "Parameter ScheduleExpression is not valid",
        ),
        (
            {"ScheduleExpression": "cron(99 * * * ? *)"},
            "ValidationException",
            "Parameter ScheduleExpression is not valid",
        ),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_refused(
    cloud: TestCloud, settings: dict[str, str], code: str, reason: str
) -> None:
    found, message = refusal(
        cloud.client("events").put_rule, Name=cloud.name("refused"), **settings
    )
    assert found == code
    assert reason in message


@pytest.mark.recordable
@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"
)
@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("Period", "The parameter Period is required"),
        ("Threshold", "The parameter Threshold is required"),
        ("EvaluationPeriods", "Value null at 'evaluationPeriods'"),
        ("ComparisonOperator", "Value null at 'comparisonOperator'"),
        ("Namespace", "The parameter Namespace is required"),
    ],
)
def test_an_alarm_without_a_setting_that_it_needs_is_refused(
    cloud: TestCloud, missing: str, reason: str
) -> None:
    alarm = {
        "AlarmName": cloud.name("refused"),
        "Namespace": "Hard",
        "MetricName": "Depth",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    del alarm[missing]
    put = cloud.client("cloudwatch", checked=False).put_metric_alarm
    code, message = refusal(put, **alarm)
    assert code in ("ValidationError", "MissingParameter")
    assert reason in message


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
)
def test_code_that_is_no_archive_or_unpacks_to_too_much_is_refused(cloud: TestCloud) -> None:
    functions = cloud.client("lambda")
    settings = {
        "FunctionName": "hard",
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::000000000000:role/hard",
        "Handler": "main.handler",
    }
    iam = cloud.client("iam")
    trust = {
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]
    }
    iam.create_role(RoleName="hard", AssumeRolePolicyDocument=json.dumps(trust))
    code, message = refusal(functions.create_function, Code={"ZipFile": b"no zip"}, **settings)
    assert (code, message.startswith("Could not unzip")) == ("InvalidParameterValueException", True)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("main.py", bytes(262_144_001))
    code, message = refusal(
        functions.create_function, Code={"ZipFile": bomb.getvalue()}, **settings
    )
    assert (code, message) == (
        "InvalidParameterValueException",
        "Unzipped size must be smaller than 262144000 bytes",
    )
    functions.create_function(Code={"ZipFile": zip_of({"main.py": "x = 1"})}, **settings)
    code, _ = refusal(functions.update_function_code, FunctionName="hard", ZipFile=b"no zip")
    assert code == "InvalidParameterValueException"
    functions.delete_function(FunctionName="hard")
    iam.delete_role(RoleName="hard")


@pytest.mark.aws_documented("https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<Tagging><TagSet>" + b"<Tag>" * 100_000, "MaxMessageLengthExceeded"),
        (b"<Tagging><TagSet>" + b"<a>" * 60_000, "MalformedXML"),
        (b"<Tagging>", "MalformedXML"),
    ],
)
def test_a_document_of_s3_that_is_too_large_or_malformed_is_refused(
    cloud: TestCloud, body: bytes, code: str
) -> None:
    status, text = send(cloud, "PUT", "/hard-bucket?tagging", body, service="s3")
    assert (status, f"<Code>{code}</Code>" in text) == (400, True), text


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(bytes(200 * 1024 * 1024), mtime=0),
        gzip.compress(b"0000", mtime=0)[:-6],
        b"\x1f\x8b no gzip",
        gzip.compress(b"0000", mtime=0) + b"garbage",
    ],
)
def test_a_body_of_git_that_does_not_unpack_is_refused(cloud: TestCloud, body: bytes) -> None:
    codecommit = cloud.client("codecommit")
    codecommit.create_repository(repositoryName="hard")
    path = "/_localcloud/git/000000000000/us-east-1/hard/git-upload-pack"
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-git-upload-pack-request"}
    status, text = send(cloud, "POST", path, body, headers=headers)
    codecommit.delete_repository(repositoryName="hard")
    assert status == 400, text


def context(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no archive",
        context(("Dockerfile", b"FROM x\nCMD ['a'"))[:-9],
        context(("Dockerfile", b"FROM \xff")),
        context(("Dockerfile", b'FROM x\nCOPY \'a b\nCMD ["a"]')),
        context(("Dockerfile", b'FROM x\nCOPY [1]\nCMD ["a"]')),
        context(("Dockerfile", b'FROM x\nCOPY . /\nCMD ["a"]'), ("a", b""), ("a/b", b"")),
        context(("Dockerfile", b'FROM x\nCOPY . /\nCMD ["a"]'), ("zeros", bytes(100_000_000))),
    ],
)
def test_a_build_context_that_cannot_be_laid_out_is_refused(cloud: TestCloud, body: bytes) -> None:
    status, text = send(cloud, "POST", "/_localcloud/images/build", body)
    assert (status, "message" in json.loads(text)) == (400, True), text


@pytest.mark.emulator_only
@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"a": NaN}', b"[" * 50_000, b"\xff"])
def test_the_state_of_a_stack_must_be_an_object(cloud: TestCloud, body: bytes) -> None:
    status, text = send(cloud, "PUT", "/_localcloud/stacks/hard/test", body)
    assert (status, "the body" in text) == (400, True), text


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html"
)
@pytest.mark.parametrize(
    ("service", "path", "target"),
    [
        ("lambda", "/2015-03-31/functions/f/invocations", ""),
        ("codecommit", "/", "CodeCommit_20150413.ListBranches"),
        ("codebuild", "/", "CodeBuild_20161006.StartBuild"),
        ("sagemaker", "/", "SageMaker.ListModels"),
        ("ssm", "/", "AmazonSSM.GetParameter"),
        ("s3", "/bucket/key", ""),
    ],
)
def test_a_region_that_does_not_exist_is_refused(
    cloud: TestCloud, service: str, path: str, target: str
) -> None:
    headers = {"X-Amz-Target": target} if target else {}
    region = "xx-nowhere-9"
    status, text = send(cloud, "POST", path, b"{}", service=service, region=region, headers=headers)
    assert status == 403
    assert "Credential should be scoped to a valid region" in text


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html"
)
def test_a_request_without_a_signature_is_for_s3_or_nobody(cloud: TestCloud) -> None:
    path = "/service/CodePipeline_20150709/operation/ListPipelines"
    status, text = send(cloud, "POST", path, b"{}")
    assert (status, "MissingAuthenticationToken" in text) == (403, True)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="hard-anonymous")
    s3.put_object(Bucket="hard-anonymous", Key="k", Body=b"content", ACL="public-read")
    assert send(cloud, "GET", "/hard-anonymous/k") == (200, "content")
    s3.delete_object(Bucket="hard-anonymous", Key="k")
    s3.delete_bucket(Bucket="hard-anonymous")


@pytest.mark.botocore_modelled
@pytest.mark.parametrize(
    ("service", "target", "body"),
    [
        ("sagemaker", "SageMaker.ListModels", '{"MaxResults": Infinity}'),
        ("sagemaker", "SageMaker.ListModels", '{"MaxResults": NaN}'),
        ("sagemaker", "SageMaker.ListModels", '{"MaxResults": 1e999}'),
        ("sagemaker", "SageMaker.ListModels", '{"MaxResults": 1' + "0" * 4000 + "}"),
        ("sagemaker", "SageMaker.ListModels", '{"CreationTimeAfter": 1e18}'),
        ("sagemaker", "SageMaker.ListModels", '{"CreationTimeAfter": -1e300}'),
        ("sagemaker", "SageMaker.ListModels", '{"CreationTimeAfter": "soon"}'),
        ("sagemaker", "SageMaker.ListModels", '{"NameContains": "\\ud800"}'),
        ("codepipeline", "CodePipeline_20150709.ListPipelines", '{"maxResults": [1]}'),
        ("ssm", "AmazonSSM.GetParameter", '{"Name":' + "[" * 30_000),
    ],
)
def test_a_value_that_no_type_has_is_refused(
    cloud: TestCloud, service: str, target: str, body: str
) -> None:
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    status, text = send(cloud, "POST", "/", body.encode(), service=service, headers=headers)
    assert (status, "SerializationException" in text) == (400, True), text


@pytest.mark.emulator_only
def test_an_exception_of_moto_names_its_operation(cloud: TestCloud) -> None:
    body = urlencode({"Action": "SetTopicAttributes", "Version": "2010-03-31"}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text = send(cloud, "POST", "/", body, service="sns", headers=headers)
    assert (status, "Member must not be null" in text) == (400, True), text


@pytest.mark.emulator_only
def test_an_upgrade_to_another_protocol_is_not_offered(cloud: TestCloud) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "x",
        "Sec-WebSocket-Version": "13",
    }
    status, text = send(cloud, "GET", "/_localstack/health", headers=headers)
    assert (status, "services" in text) == (200, True), text


@pytest.mark.emulator_only
def test_a_form_that_is_not_utf_8_is_refused(cloud: TestCloud) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"Action=ListUsers&Version=2010-05-08&x=\xff\xfe"
    status, text = send(cloud, "POST", "/", body, service="iam", headers=headers)
    assert (status, "is not UTF-8" in text) == (400, True), text
    path = "/?Action=ListUsers&Version=2010-05-08"
    status, text = send(cloud, "GET", path, b"\x1f\x8b", service="iam")
    assert (status, "is not UTF-8" in text) == (400, True), text


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-short-and-long-polling.html"
)
def test_a_long_poll_gets_a_message_that_is_sent_meanwhile(cloud: TestCloud) -> None:
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="hard-poll")["QueueUrl"]
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(sqs.receive_message, QueueUrl=queue, WaitTimeSeconds=20)
        other = cloud.client("sqs")
        assert other.receive_message(QueueUrl=queue).get("Messages", []) == []
        other.send_message(QueueUrl=queue, MessageBody="sent meanwhile")
        found = poll.result()["Messages"]
    assert [message["Body"] for message in found] == ["sent meanwhile"]
    assert sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []) == []
    sqs.delete_queue(QueueUrl=queue)


@pytest.mark.emulator_only
def test_a_subscription_that_would_use_the_network_gets_nothing(cloud: TestCloud) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="hard")["TopicArn"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint)
        assert sns.publish(TopicArn=topic, Message="m")["MessageId"]
    sns.delete_topic(TopicArn=topic)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html"
)
def test_a_range_of_very_many_datapoints_is_refused(cloud: TestCloud) -> None:
    cloudwatch = cloud.client("cloudwatch")
    metric = {"Namespace": "Hard", "MetricName": "Depth"}
    times = {"StartTime": 0, "EndTime": 4_000_000_000}
    for at in (1_000_000_000, 2_000_000_000):
        datum = {"MetricName": "Depth", "Value": 1.0, "Timestamp": at}
        cloudwatch.put_metric_data(Namespace="Hard", MetricData=[datum])
    code, message = refusal(
        cloudwatch.get_metric_statistics, **metric, **times, Period=60, Statistics=["Sum"]
    )
    assert code == "InvalidParameterCombination"
    assert "which exceeds the limit of 1,440" in message
    query = {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 1, "Stat": "Sum"}}
    code, message = refusal(cloudwatch.get_metric_data, MetricDataQueries=[query], **times)
    assert (code, "at most 100800 are allowed" in message) == ("ValidationError", True)
    for period in (0, -60):
        broken = {"Id": "m1", "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}
        body = json.dumps({"MetricDataQueries": [broken], **times}).encode()
        target = "GraniteServiceVersion20100801.GetMetricData"
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
        status, text = send(cloud, "POST", "/", body, service="monitoring", headers=headers)
        assert status == 400, text


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html"
)
def test_a_value_that_is_counted_very_often_is_one_statistic(cloud: TestCloud) -> None:
    cloudwatch, now = cloud.client("cloudwatch"), cloud.now()
    datum = {"MetricName": "Counted", "Timestamp": now, "Values": [2.0, 4.0], "Counts": [1e9, 1e9]}
    cloudwatch.put_metric_data(Namespace="Hard", MetricData=[datum])
    (point,) = cloudwatch.get_metric_statistics(
        Namespace="Hard",
        MetricName="Counted",
        StartTime=now - 300,
        EndTime=now + 300,
        Period=60,
        Statistics=["Average", "SampleCount", "Maximum"],
    )["Datapoints"]
    assert (point["Average"], point["SampleCount"], point["Maximum"]) == (3.0, 2e9, 4.0)


@pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html"
)
@pytest.mark.parametrize(
    "values",
    [
        {"Value": float("nan")},
        {"Value": float("inf")},
        {"Value": 1e200},
        {"Values": [1.0, 2.0], "Counts": [1.0]},
        {"Values": [1.0] * 151},
        {"Values": [1.0], "Counts": [-1.0]},
        {"StatisticValues": {"Sum": float("nan"), "Minimum": 0, "Maximum": 0, "SampleCount": 1}},
    ],
)
def test_a_value_that_no_metric_has_is_refused(cloud: TestCloud, values: dict[str, Any]) -> None:
    datum = {"MetricName": "Refused"} | values
    code, _ = refusal(
        cloud.client("cloudwatch").put_metric_data, Namespace="Hard", MetricData=[datum]
    )
    assert code.startswith("InvalidParameter")


@pytest.mark.emulator_only
def test_a_prefix_that_is_a_hard_pattern_ends(cloud: TestCloud) -> None:
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="a" * 78 + "-c")["QueueUrl"]
    code, message = refusal(sqs.list_queues, QueueNamePrefix="(a|a)*c")
    assert (code, message) == (
        "ValidationException",
        "Matching a pattern of the request takes too long.",
    )
    assert sqs.list_queues(QueueNamePrefix="aaa")["QueueUrls"] == [queue]
    sqs.delete_queue(QueueUrl=queue)
    events = cloud.client("events")
    events.put_rule(Name="a" * 60 + ".c", ScheduleExpression="rate(1 day)", State="DISABLED")
    assert refusal(events.list_rules, NamePrefix="(a|a)*c")[0] == "ValidationException"
    assert len(events.list_rules(NamePrefix="aaa")["Rules"]) == 1
    events.delete_rule(Name="a" * 60 + ".c")


@pytest.mark.emulator_only
def test_a_web_page_cannot_write_by_a_link(cloud: TestCloud) -> None:
    name = "a-link-made-it"
    credential = quote("000000000000/20260101/us-east-1/iam/aws4_request", safe="")
    query = f"Action=CreateUser&UserName={name}&Version=2010-05-08&X-Amz-Credential={credential}"
    host = f"localhost.localstack.cloud:{urlsplit(cloud.url).port}"
    for headers in ({"Referer": "http://evil.example/"}, {}):
        status, _ = send(cloud, "GET", f"/?{query}", headers=headers | {"Host": host})
        assert status == 403
    assert name not in {u["UserName"] for u in cloud.client("iam").list_users()["Users"]}
