"""The project that `localcloud init` writes: the Pulumi program, and what it deploys."""
