"""Game days: faults are injected into the running lab, and what each of them cost is counted.

schedule.py   the faults of a game day, from a seed (pure); read this first
injector.py   injects faults inside of the local cloud, if it was started for that
supervisor.py starts, kills and restarts the local cloud, and deploys the lab
load.py       clients that invoke the endpoint and never repeat a call
work.py       uploads datasets, approves models, and remembers what was acknowledged
acknowledged.py  compares what was acknowledged with what is there in the end (pure)
run.py        the game day itself
report.py     the table and the verdict
"""
