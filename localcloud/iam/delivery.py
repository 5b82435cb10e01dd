"""The resources of the operations on repositories, builds, pipelines, stacks, alarms and rules.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html
"""

from __future__ import annotations

# The resources of an operation, each as the last part of an ARN of the service, a whole ARN, or
# `*`.
DELIVERY: dict[str, tuple[str, ...]] = {
    "cloudformation:ListExports": ("*",),
    "cloudformation:ListImports": ("*",),
    "cloudformation:ListStacks": ("*",),
    "cloudformation:ValidateTemplate": ("*",),
    "cloudwatch:DescribeAlarmHistory": ("alarm:*",),
    "cloudwatch:DescribeAlarms": ("alarm:*",),
    "cloudwatch:PutCompositeAlarm": ("alarm:{AlarmName}",),
    "cloudwatch:PutMetricAlarm": ("alarm:{AlarmName}",),
    "cloudwatch:SetAlarmState": ("alarm:{AlarmName}",),
    "codebuild:ListBuilds": ("*",),
    "codebuild:ListBuildsForProject": ("project/{projectName}",),
    "codebuild:StartBuild": ("project/{projectName}",),
    "codecommit:DeleteRepository": ("{repositoryName}",),
    "codecommit:GetBranch": ("{repositoryName}",),
    "codecommit:GetCommit": ("{repositoryName}",),
    "codecommit:ListBranches": ("{repositoryName}",),
    "codepipeline:DeletePipeline": ("{name}",),
    "codepipeline:DisableStageTransition": ("{pipelineName}/{stageName}",),
    "codepipeline:EnableStageTransition": ("{pipelineName}/{stageName}",),
    "codepipeline:GetJobDetails": ("*",),
    "codepipeline:GetPipeline": ("{name}",),
    "codepipeline:GetPipelineExecution": ("{pipelineName}",),
    "codepipeline:GetPipelineState": ("{name}",),
    "codepipeline:ListActionExecutions": ("{pipelineName}",),
    "codepipeline:ListActionTypes": ("*",),
    "codepipeline:ListPipelineExecutions": ("{pipelineName}",),
    "codepipeline:ListPipelines": ("*",),
    "codepipeline:ListRuleExecutions": ("{pipelineName}",),
    "codepipeline:ListRuleTypes": ("*",),
    "codepipeline:ListTagsForResource": ("{resourceArn}",),
    "codepipeline:OverrideStageCondition": ("{pipelineName}/{stageName}",),
    "codepipeline:PutActionRevision": ("{pipelineName}/{stageName}/{actionName}",),
    "codepipeline:PutApprovalResult": ("{pipelineName}/{stageName}/{actionName}",),
    "codepipeline:PutJobFailureResult": ("*",),
    "codepipeline:PutJobSuccessResult": ("*",),
    "codepipeline:RetryStageExecution": ("{pipelineName}/{stageName}",),
    "codepipeline:RollbackStage": ("{pipelineName}/{stageName}",),
    "codepipeline:StartPipelineExecution": ("{name}",),
    "codepipeline:StopPipelineExecution": ("{pipelineName}",),
    "codepipeline:TagResource": ("{resourceArn}",),
    "codepipeline:UntagResource": ("{resourceArn}",),
    "events:ListEventBuses": ("*",),
    "events:ListRuleNamesByTarget": ("*",),
    "events:ListRules": ("*",),
    "events:ListTargetsByRule": ("rule/{Rule}",),
    "events:TestEventPattern": ("*",),
}

# The operations of CloudFormation whose resource is the stack that StackName names.
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
