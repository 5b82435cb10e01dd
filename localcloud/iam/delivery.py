"""The operations of delivery (pipelines, stacks, alarms) and the resources that they are on.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html
"""

from __future__ import annotations

# Resources of an operation: the last part of an ARN of the service, a whole ARN, or `*`.
DELIVERY: dict[str, tuple[str, ...]] = {
    "cloudformation:ListExports": ("*",),
    "cloudformation:ListImports": ("*",),
    "cloudwatch:DescribeAlarmHistory": ("alarm:*",),
    "cloudwatch:DescribeAlarms": ("alarm:*",),
    "cloudwatch:PutCompositeAlarm": ("alarm:{AlarmName}",),
    "cloudwatch:PutMetricAlarm": ("alarm:{AlarmName}",),
    "cloudwatch:SetAlarmState": ("alarm:{AlarmName}",),
    "codepipeline:DisableStageTransition": ("{pipelineName}/{stageName}",),
    "codepipeline:EnableStageTransition": ("{pipelineName}/{stageName}",),
    "codepipeline:GetPipelineExecution": ("{pipelineName}",),
    "codepipeline:GetPipelineState": ("{name}",),
    "codepipeline:ListPipelineExecutions": ("{pipelineName}",),
    "codepipeline:PutActionRevision": ("{pipelineName}/{stageName}/{actionName}",),
    "codepipeline:PutApprovalResult": ("{pipelineName}/{stageName}/{actionName}",),
    "codepipeline:PutJobFailureResult": ("*",),
    "codepipeline:PutJobSuccessResult": ("*",),
    "codepipeline:RetryStageExecution": ("{pipelineName}/{stageName}",),
    "codepipeline:StartPipelineExecution": ("{name}",),
    "codepipeline:StopPipelineExecution": ("{pipelineName}",),
}

# Operations of CloudFormation on the stack that their StackName names.
STACK_OPERATIONS = (
    "CancelUpdateStack",
    "ContinueUpdateRollback",
    "CreateStack",
    "DeleteStack",
    "DescribeStackEvents",
    "DescribeStackResource",
    "DescribeStackResources",
    "DescribeStacks",
    "GetStackPolicy",
    "GetTemplate",
    "GetTemplateSummary",
    "ListChangeSets",
    "ListStackResources",
    "SetStackPolicy",
    "UpdateStack",
    "UpdateTerminationProtection",
)
