"""Pulumi components of the lab and the pure modules that decide what goes into them."""
