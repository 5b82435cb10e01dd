"""Lambda: invocations of a function's own zip under AWS's own runtime client.

runtime_api.py  the Lambda Runtime API that the client polls
environment.py  one execution environment: a process and its Runtime API
limits.py       the sizes that Lambda allows
service.py      Invoke: finds the function, and a warm environment or a cold one
"""
