"""Handlers of the pipeline's Lambda functions; only the standard library and boto3."""
