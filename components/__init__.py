"""The lab's Pulumi components, and the pure modules that compute their inputs."""
