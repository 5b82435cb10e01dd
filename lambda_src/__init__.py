"""The handlers of the pipeline's Lambda functions; they use only the standard library and boto3."""
