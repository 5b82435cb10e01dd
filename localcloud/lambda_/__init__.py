"""Lambda: invocations of a function's own zip under AWS's own runtime client.

names.py          names of functions: a name, a part of an ARN, an ARN (pure)
configuration.py  the settings that are refused (pure)
records.py        functions, versions and aliases in moto's memory
functions_api.py  operations on functions and versions
aliases_api.py    operations on aliases, and on the policies of functions
event_invoke_api.py  the settings of asynchronous invocations
found.py          the version that an invocation runs
runtime_api.py    the Lambda Runtime API that the client polls
environment.py    one execution environment: a process and its Runtime API
asynchronous.py   retries, dead letters and destinations
limits.py         the sizes that Lambda allows
service.py        Invoke: finds the function, and a warm environment or a cold one
"""
