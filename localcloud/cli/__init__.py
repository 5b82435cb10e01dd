"""The command line: `localcloud start | up | dataset push | approve | pipeline watch | …`.

app.py       the commands, and which module has them
help.py      panels and examples of the help
options.py   the options that several commands have
console.py   output and errors for a person
progress.py  the counter of a deployment
watch.py     executions of a pipeline, and pending approvals
demo.py      runs the whole lab, end to end
gameday.py   injects faults into the running lab
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported is no traceback."""
    try:
        from localcloud.cli.app import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
