"""AWS::CloudWatch::Alarm."""

from __future__ import annotations

from localcloud.cloudformation.resource_types.base import (
    Call,
    CreatedResource,
    Handler,
    Properties,
    tag_changes,
    tag_list,
)


async def _create(call: Call, properties: Properties) -> CreatedResource:
    parameters = {"AlarmName": call.generated_name(255), **properties}
    await call.api("cloudwatch", "put_metric_alarm", **parameters)
    arn = call.scope.arn("cloudwatch", f"alarm:{parameters['AlarmName']}")
    return CreatedResource(parameters["AlarmName"], {"Arn": arn})


async def _update(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    # PutMetricAlarm sets tags only when it creates the alarm.
    settings = {key: value for key, value in after.items() if key not in ("AlarmName", "Tags")}
    await call.api("cloudwatch", "put_metric_alarm", AlarmName=made.physical_id, **settings)
    changed, removed = tag_changes(before, after)
    arn = made.attributes["Arn"]
    if changed:
        await call.api("cloudwatch", "tag_resource", ResourceARN=arn, Tags=tag_list(changed))
    if removed:
        await call.api("cloudwatch", "untag_resource", ResourceARN=arn, TagKeys=removed)
    return made


async def _delete(call: Call, made: CreatedResource) -> None:
    await call.api("cloudwatch", "delete_alarms", AlarmNames=[made.physical_id])


HANDLERS = (
    Handler(
        "AWS::CloudWatch::Alarm",
        _create,
        _update,
        _delete,
        carried_out=frozenset(
            {
                "ActionsEnabled",
                "AlarmActions",
                "AlarmDescription",
                "AlarmName",
                "ComparisonOperator",
                "DatapointsToAlarm",
                "Dimensions",
                "EvaluationPeriods",
                "ExtendedStatistic",
                "InsufficientDataActions",
                "MetricName",
                "Metrics",
                "Namespace",
                "OKActions",
                "Period",
                "Statistic",
                "Tags",
                "Threshold",
                "TreatMissingData",
                "Unit",
            }
        ),
        attributes=("Arn",),
        assumed={"EvaluateLowSampleCountPercentile": "evaluate"},
        name_property="AlarmName",
    ),
)
