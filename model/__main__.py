"""The container's entry point: `python -m model COMMAND`.

    train      a training job
    serve      the server of an endpoint's instance
    check, evaluate, rehearse, monitor     processing jobs

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

_COMMANDS = ("train", "serve", "check", "evaluate", "rehearse", "monitor")


def main() -> int:
    """Run the command that SageMaker passes; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=_COMMANDS)
    command = parser.parse_args().command
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("skl2onnx").setLevel(logging.WARNING)  # it announces itself at INFO
    if command == "train":
        # Threads that spin while they wait make histogram boosting ten times slower on cores that
        # others use too. Read when OpenMP is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from model.train import run
    elif command == "check":
        from model.check import run
    elif command == "evaluate":
        from model.evaluate import run
    elif command == "rehearse":
        from model.rehearse import run
    elif command == "monitor":
        from model.monitor import run
    else:
        from model.server import run
    return run(os.environ)


if __name__ == "__main__":
    sys.exit(main())
