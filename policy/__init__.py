"""The project's rules for its own stacks, and the Pulumi policy pack that enforces them."""
