"""The names of what the master and the workers of the load generator tell each other.

WANTED    worker → master: a worker runs low on tickets
TICKETS   master → worker: how many it gets
FIGURES   worker → master: what it counted, at once, as all is sent and answered
RECORDED  worker → master: the key in locust's own report under which ours is
"""

from __future__ import annotations

WANTED = "tickets wanted"
TICKETS = "tickets"
FIGURES = "figures"
RECORDED = "recorded"
