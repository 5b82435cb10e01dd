"""EventBridge: patterns, what happens to an event that matches one, and schedules.

event_pattern.py    which patterns are valid, and the alternatives of one (pure)
event_matching.py   whether an event matches a pattern (pure)
target_input.py     which targets are valid, and the input that one gets (pure)
api.py              TestEventPattern, and the lists in pages
delivery.py         sends a matched event to each target of its rule
scheduled_rules.py  fires the rules whose schedule is due
"""
