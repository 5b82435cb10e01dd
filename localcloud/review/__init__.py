"""`localcloud diff`: what one revision of the program changes against another.

run.py           deploys the base to a local cloud of its own, previews the head there, deploys it
revisions.py     files of a revision, by Git
delivery.py      with --run: brings a dataset to the head's production endpoint
comparison.py    two deployments, compared: costs, permissions, templates, violations. Pure
permissions.py   policies as single grants. Pure
usage.py         with --run: which gained grants the calls of that run used. Pure
markdown.py      the comparison as the comment of a pull request. Pure
"""
