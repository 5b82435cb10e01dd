"""Recording of AWS's answers to the semantic tests, and their comparison with the local cloud."""
