"""EventBridge: what happens to an event after moto has matched it with a rule.

delivery.py         sends a matched event to each target of its rule
scheduled_rules.py  fires the rules whose schedule is due
"""
