"""The command line: `localcloud start | up | down | status | image push | approve | …`.

app.py     the commands and their options
console.py output and errors for a person
watch.py   follows a pipeline execution
demo.py    runs the whole lab, end to end
gameday.py injects faults into the running lab
"""

from localcloud.cli.app import main

__all__ = ["main"]
