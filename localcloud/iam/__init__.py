"""IAM: who calls, which permission a call needs, and whether the caller's role gives it.

policy.py        what policy documents say of an action, a resource and a context (pure)
actions.py       which permissions an operation needs (pure)
"""
