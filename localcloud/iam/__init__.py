"""IAM: identifies the caller, and checks the permissions of calls that roles make.

authoriser.py    identifies the caller, decides, records, denies; read this first
enforcement.py   the modes: deny, record, or check nothing
policy.py        evaluates policy documents (pure)
actions.py       the permissions that an operation requires (pure)
requests.py      the operation of a request, and its parameters (pure)
encryption.py    the KMS keys that a request uses through S3 or SNS
keys.py          the temporary access keys of roles
calls.py         the calls that roles made
report.py        compares calls with grants (pure)
"""
