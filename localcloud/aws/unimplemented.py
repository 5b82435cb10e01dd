"""The refusal of an operation that the local cloud does not have, by its name and in its protocol.

A request names its operation in a header, in its path or in its body, or by its method and path.
The last needs the models of all services that sign with the name in the request: Amazon's SDKs sign
requests to `sesv2` and to `ses` alike, and they speak different protocols.

Source: https://smithy.io/2.0/aws/protocols/index.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import botocore.session

from localcloud.aws.errors import NotImplementedByCloud
from localcloud.aws.protocol import operation_name, serialise_error
from localcloud.aws.routing import Request, Response

# A name that requests are signed with, and the services that sign with it and have another name.
_SIGNED_AS = {
    name: tuple(services.split())
    for name, services in (
        line.split(maxsplit=1)
        for line in """
IoTSecuredTunneling iotsecuretunneling
access-analyzer accessanalyzer
account-access account-access-runtime
aco-automation compute-optimizer-automation
agent-registry agent-registry-control
aidevops devops-agent
airflow mwaa
airflow-serverless mwaa-serverless
aoss opensearchserverless
apigateway apigatewayv2
app-integrations appintegrations
appconfig appconfigdata
application-cost-profiler applicationcostprofiler
applicationinsights application-insights
aps amp
aws-marketplace marketplace-agreement marketplace-catalog marketplace-deployment marketplace-discovery marketplace-entitlement marketplace-reporting meteringmarketplace
awsssoportal sso
backup-search backupsearch
bedrock bedrock-agent bedrock-agent-runtime bedrock-data-automation bedrock-data-automation-runtime bedrock-runtime
bedrock-agentcore bedrock-agentcore-control
cases connectcases
cassandra keyspaces keyspacesstreams
chime chime-sdk-identity chime-sdk-media-pipelines chime-sdk-meetings chime-sdk-messaging chime-sdk-voice
cleanrooms-ml cleanroomsml
cloudcontrolapi cloudcontrol
cloudhsm cloudhsmv2
cloudsearch cloudsearchdomain
cloudwatch cloudwatchomni
codeguru-profiler codeguruprofiler
connect connect-contact-lens connectscheduling
connect-campaigns connectcampaigns connectcampaignsv2
dynamodb dynamodbstreams
elasticfilesystem efs
elasticloadbalancing elb elbv2
elasticmapreduce emr
elemental-inference elementalinference
end-user-messaging endusermessaging
es opensearch
events eventbridgev2
execute-api apigatewaymanagementapi connectparticipant
forecast forecastquery
geo location
greengrass greengrassv2
health-agent connecthealth
iam iam-toolbox
iotdata iot-data
iotmanagedintegrations iot-managed-integrations
ivs ivs-realtime
kinesisanalytics kinesisanalyticsv2
kinesisvideo kinesis-video-archived-media kinesis-video-media kinesis-video-signaling kinesis-video-webrtc-storage
lambda lambda-core lambda-microvms lambda-web
launchwizard launch-wizard
lex lex-models lex-runtime lexv2-models lexv2-runtime
mediastore mediastore-data
mgh migrationhub-config
migrationhub-orchestrator migrationhuborchestrator
migrationhub-strategy migrationhubstrategy
mobiletargeting pinpoint
monitoring cloudwatch
mturk-requester mturk
neptune-db neptunedata
notifications-contacts notificationscontacts
osm opensearchmemory
partnercentral partnercentral-revenue-measurement
payment-cryptography payment-cryptography-data
personalize personalize-events personalize-runtime
pricingplanmanager pricing-plan-manager
profile customer-profiles
rds docdb neptune
refactor-spaces migration-hub-refactor-spaces
resiliencehub resiliencehubv2
s3 s3control
s3-outposts s3outposts
sagemaker sagemaker-a2i-runtime sagemaker-edge sagemaker-featurestore-runtime sagemaker-inference-router-runtime sagemaker-metrics sagemaker-runtime sagemakerjobruntime sagemakertrainingsessionruntime
scn supplychain
sdb simpledbv2
servicecatalog servicecatalog-appregistry
servicequotas service-quotas
ses mailmanager pinpoint-email sesv2
signer signer-data
sms-voice pinpoint-sms-voice pinpoint-sms-voice-v2
social-messaging socialmessaging
sso sso-admin
sso-oauth sso-oidc
states stepfunctions
supportapp support-app
tagging resourcegroupstaggingapi
tax taxsettings
thinclient workspaces-thin-client
timestream timestream-query timestream-write
voiceid voice-id
wisdom qconnect
""".strip().splitlines()
    )
}
_SMITHY = re.compile(r"/service/[^/]+/operation/(\w+)")
_CBOR = "rpc-v2-cbor"
_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
_NAME = re.compile(r"\w+")


def refusal(request: Request, operation: str = "") -> Response:
    """Return the response 501 to a request for an operation that is not implemented.

    Args:
        request: the request.
        operation: its operation, if it is known.
    """
    service, name = (request.service, operation) if operation else named(request)
    response = serialise_error(service, NotImplementedByCloud(service, name))
    if request.headers.get("smithy-protocol") == _CBOR:
        error = NotImplementedByCloud(service, name)
        headers = {**response.headers, "content-type": "application/cbor", "smithy-protocol": _CBOR}
        body = _cbor({"__type": error.code, "message": error.message})
        return Response(error.status, headers, body)
    return response


def named(request: Request) -> tuple[str, str]:
    """Return botocore's name of a request's service and the name of its operation.

    The operation is the method and the path if no model has it.
    """
    smithy = _SMITHY.search(request.path)
    told = smithy[1] if smithy else operation_name(request)
    if told and _NAME.fullmatch(told):
        return _service_with(request.service, told), told
    for service in (request.service, *_services_of(request.service)):
        found = _by_path(service, request)
        if found:
            return service, found
    return request.service, f"{request.method} {request.path[:200]}"


def _service_with(signing_name: str, operation: str) -> str:
    for service in (signing_name, *_services_of(signing_name)):
        model = _model(service)
        if model is not None and operation in model.operations:
            return service
    return signing_name


def _by_path(service: str, request: Request) -> str:
    """Return the operation of a REST service whose path fits most closely, or an empty string."""
    model = _model(service)
    if model is None or not model.protocol.startswith("rest"):
        return ""
    found = [
        (literal, name)
        for method, pattern, literal, name in _paths(service)
        if method == request.method and pattern.fullmatch(request.path.rstrip("/"))
    ]
    return max(found, default=(0, ""))[1]


@cache
def _paths(service: str) -> list[tuple[str, re.Pattern[str], int, str]]:
    """Return the method, the path and the number of its literal characters of each operation."""
    return list(_read_paths(service))


def _read_paths(service: str) -> Iterator[tuple[str, re.Pattern[str], int, str]]:
    model = _model(service)
    for name, (method, uri) in model.operations.items() if model is not None else ():
        parts = _LABEL.split(uri.partition("?")[0].rstrip("/"))
        pattern = ""
        for index in range(0, len(parts), 3):
            pattern += re.escape(parts[index])
            if index + 1 < len(parts):
                pattern += ".+" if parts[index + 2] else "[^/]+"
        yield method, re.compile(pattern), sum(map(len, parts[::3])), name


def _services_of(signing_name: str) -> tuple[str, ...]:
    """Return the services that sign with a name and have another one themselves."""
    return _SIGNED_AS.get(signing_name, ())


@dataclass(frozen=True, slots=True)
class _Model:
    """The part of a service's model that names operations."""

    protocol: str
    # Operation → method and path.
    operations: dict[str, tuple[str, str]]


@cache
def _model(service: str) -> _Model | None:
    """Return the model of a service, or None if botocore has none."""
    # A loader of its own, because a loader keeps every model that it has read.
    loader = botocore.session.get_session().get_component("data_loader")
    if service not in loader.list_available_services("service-2"):
        return None
    model = loader.load_service_model(service, "service-2")
    operations = {
        name: (operation["http"]["method"], operation["http"]["requestUri"])
        for name, operation in model["operations"].items()
    }
    return _Model(model["metadata"]["protocol"], operations)


def _cbor(members: dict[str, str]) -> bytes:
    """Return a map of texts in CBOR.

    Source: https://www.rfc-editor.org/rfc/rfc8949.html#section-3
    """
    content = b"".join(_text(part) for pair in members.items() for part in pair)
    return bytes([0xA0 + len(members)]) + content


def _text(text: str) -> bytes:
    body = text.encode()
    return bytes([0x79]) + len(body).to_bytes(2, "big") + body
