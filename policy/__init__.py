"""The project's policies for its own stacks, and the Pulumi policy pack that enforces them."""
