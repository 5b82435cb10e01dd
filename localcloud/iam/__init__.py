"""IAM: who calls, which permission a call needs, and whether the caller's role gives it.

authoriser.py    the one decision: identify the caller, record, deny; read this first
enforcement.py   deny, record or ignore
policy.py        what policy documents say of an action, a resource and a context (pure)
actions.py       which permissions an operation needs (pure)
requests.py      which operation a request is (pure)
encryption.py    which KMS keys it uses
keys.py          temporary access keys of roles
calls.py         what roles have done
report.py        what they did against what they are granted (pure)
"""
