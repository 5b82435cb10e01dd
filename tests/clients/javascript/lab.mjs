// The lab's services by the AWS SDK for JavaScript: SageMaker, Lambda, CodePipeline, and SQS.
// Reads AWS_ENDPOINT_URL, CONFIG, FUNCTION, PIPELINE from the environment; prints one line of JSON.
import assert from "node:assert/strict";
import * as Pipeline from "@aws-sdk/client-codepipeline";
import * as Lambda from "@aws-sdk/client-lambda";
import * as SageMaker from "@aws-sdk/client-sagemaker";
import * as Runtime from "@aws-sdk/client-sagemaker-runtime";
import * as Sqs from "@aws-sdk/client-sqs";

const { CONFIG, FUNCTION, PIPELINE } = process.env;
const found = {};

// An endpoint: made, waited for, asked, listed in pages, deleted.
const sagemaker = new SageMaker.SageMakerClient({});
const EndpointName = "by-javascript";
await sagemaker.send(new SageMaker.CreateEndpointCommand({ EndpointName, EndpointConfigName: CONFIG }));
const waited = await SageMaker.waitUntilEndpointInService(
  { client: sagemaker, minDelay: 1, maxDelay: 2, maxWaitTime: 60 },
  { EndpointName },
);
const described = await sagemaker.send(new SageMaker.DescribeEndpointCommand({ EndpointName }));
assert.ok(described.CreationTime instanceof Date);
const runtime = new Runtime.SageMakerRuntimeClient({});
const answer = await runtime.send(
  new Runtime.InvokeEndpointCommand({ EndpointName, ContentType: "text/csv", Body: "5.1,3.5" }),
);
found.endpoint = [
  waited.state,
  described.EndpointStatus,
  new TextDecoder().decode(answer.Body),
  answer.InvokedProductionVariant,
];
await assert.rejects(
  runtime.send(new Runtime.InvokeEndpointCommand({ EndpointName, ContentType: "text/csv", Body: "error" })),
  (error) => error instanceof Runtime.ModelError && error.OriginalStatusCode === 500
    && error.OriginalMessage === "it broke" && error.$metadata.httpStatusCode === 424,
);
await assert.rejects(
  runtime.send(new Runtime.InvokeEndpointCommand({ EndpointName: "missing", Body: "1" })),
  (error) => error.name === "ValidationError" && error.$metadata.httpStatusCode === 400,
);
await assert.rejects(
  sagemaker.send(new SageMaker.CreateEndpointCommand({ EndpointName, EndpointConfigName: CONFIG })),
  (error) => error instanceof SageMaker.SageMakerServiceException && error.name === "ValidationException",
);
const names = [];
for await (const page of SageMaker.paginateListEndpoints(
  { client: sagemaker, pageSize: 1 },
  { NameContains: "by-javascript" },
)) {
  names.push(...page.Endpoints.map((endpoint) => endpoint.EndpointName));
}
found.endpoints = names;
await sagemaker.send(new SageMaker.DeleteEndpointCommand({ EndpointName }));
const gone = await SageMaker.waitUntilEndpointDeleted(
  { client: sagemaker, minDelay: 1, maxDelay: 2, maxWaitTime: 60 },
  { EndpointName },
);
found.deleted = gone.state;

// A function: called, its log, its error, an error of the service.
const lambda = new Lambda.LambdaClient({});
await Lambda.waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 30 }, { FunctionName: FUNCTION });
const call = (event, more = {}) =>
  lambda.send(
    new Lambda.InvokeCommand({ FunctionName: FUNCTION, Payload: JSON.stringify(event), LogType: "Tail", ...more }),
  );
const good = await call({ word: "ü" });
const log = Buffer.from(good.LogResult, "base64").toString();
const bad = await call({});
const later = await call({ word: "later" }, { InvocationType: "Event", LogType: "None" });
found.function = [
  good.StatusCode,
  good.ExecutedVersion,
  JSON.parse(new TextDecoder().decode(good.Payload)),
  /^START RequestId: .*said ü\nEND RequestId: .*\nREPORT RequestId: /s.test(log),
  bad.FunctionError,
  JSON.parse(new TextDecoder().decode(bad.Payload)).errorType,
  later.StatusCode,
];
await assert.rejects(
  call({}, { FunctionName: "missing" }),
  (error) => error instanceof Lambda.ResourceNotFoundException && error.$metadata.httpStatusCode === 404,
);

// A pipeline: its approval, found and given, and the end of the execution.
const codepipeline = new Pipeline.CodePipelineClient({});
const state = async () => {
  const { stageStates } = await codepipeline.send(new Pipeline.GetPipelineStateCommand({ name: PIPELINE }));
  return stageStates.at(-1);
};
const until = async (probe) => {
  for (let n = 0; n < 300; n += 1) {
    const value = probe(await state());
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the pipeline did not get there");
};
const token = await until((stage) => stage.actionStates[0].latestExecution?.token);
const approval = { pipelineName: PIPELINE, stageName: "DeployApproval", actionName: "ApproveDeploy" };
const result = { status: "Approved", summary: "by JavaScript" };
await assert.rejects(
  codepipeline.send(
    new Pipeline.PutApprovalResultCommand({ ...approval, result, token: "00000000-0000-0000-0000-000000000000" }),
  ),
  (error) => error instanceof Pipeline.InvalidApprovalTokenException,
);
const { approvedAt } = await codepipeline.send(new Pipeline.PutApprovalResultCommand({ ...approval, result, token }));
assert.ok(approvedAt instanceof Date);
await assert.rejects(
  codepipeline.send(new Pipeline.PutApprovalResultCommand({ ...approval, result, token })),
  (error) => error instanceof Pipeline.ApprovalAlreadyCompletedException,
);
found.stage = await until((stage) => stage.latestExecution.status !== "InProgress" && stage.latestExecution.status);
const actions = [];
for await (const page of Pipeline.paginateListActionExecutions(
  { client: codepipeline, pageSize: 1 },
  { pipelineName: PIPELINE },
)) {
  actions.push(...page.actionExecutionDetails.map((detail) => `${detail.actionName} ${detail.status}`));
}
found.actions = actions;
await assert.rejects(
  codepipeline.send(new Pipeline.GetPipelineCommand({ name: "missing" })),
  (error) => error instanceof Pipeline.PipelineNotFoundException,
);

// A queue: the SDK sends to the host of the queue's URL, whatever address it was given.
const sqs = new Sqs.SQSClient({});
const { QueueUrl } = await sqs.send(new Sqs.CreateQueueCommand({ QueueName: "by-javascript" }));
await sqs.send(new Sqs.SendMessageCommand({ QueueUrl, MessageBody: "hello" }));
const { Messages } = await sqs.send(new Sqs.ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
await sqs.send(new Sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle }));
found.messages = Messages.map(({ Body }) => Body);
await assert.rejects(
  sqs.send(new Sqs.GetQueueUrlCommand({ QueueName: "missing" })),
  (error) => error instanceof Sqs.QueueDoesNotExist,
);
console.log(JSON.stringify(found));
