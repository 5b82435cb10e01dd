"""The parts of the help that every command has: panels, examples, exit statuses, variables.

Each command has an example; a test reads each of them by the command's own options.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# The panels of `localcloud --help`, and their commands in order.
PANELS = {
    "The whole lab": ("demo", "dev", "init"),
    "The local cloud": (
        "start",
        "wait",
        "status",
        "stop",
        "reset",
        "snapshot",
        "clock",
        "operations",
    ),
    "Stacks": ("up", "preview", "refresh", "outputs", "cost", "diff", "down", "teardown", "pulumi"),
    "The pipeline": ("image", "dataset", "pipeline", "approve", "reject", "evidence", "connection"),
    "What runs": ("invoke", "logs", "iam", "drift", "simulate", "gameday"),
}

EXAMPLES = {
    "": ("demo", "start -d", "up prd", "dataset push iris", "approve --wait"),
    "approve": ("approve --wait", "approve iris-model-pipeline --summary 'as good as before'"),
    "clock": ("clock", "clock --json"),
    "clock advance": ("clock advance 15m", "clock advance 1h30m"),
    "clock speed": ("clock speed 60", "clock speed 1"),
    "connection authorize": (
        "connection authorize arn:aws:codeconnections:us-east-1:000000000000:connection/ID",
    ),
    "cost": ("cost prd", "cost dev --json"),
    "dataset push": (
        "dataset push iris --watch",
        "dataset push mine.csv --label outcome --delimiter semicolon",
    ),
    "demo": ("demo", "demo --table wine --approve", "demo --csv mine.csv --label outcome --keep"),
    "dev": ("dev", "dev --retrain", "dev --port 0 --dataset none"),
    "diff": ("diff main", "diff main --run --markdown"),
    "down": ("down dev --deployed", "down prd --unprotect"),
    "drift": ("drift --column 'petal length (cm)' --shift 2sd", "drift --label-flip 0.2"),
    "evidence": ("evidence", "evidence --json"),
    "gameday": ("gameday", "gameday --seed 7 --count 100 --duration 10m", "gameday --plan"),
    "iam": ("iam", "iam --json"),
    "image push": ("image push model --repository iris-model --release /mlops/iris-model/image",),
    "init": ("init my-project",),
    "invoke": (
        "invoke iris-model-production 5.1,3.5,1.4,0.2",
        "invoke iris-model-production --accept text/csv < rows.csv",
    ),
    "logs": ("logs", "logs TrainingJobs --since 10m --filter accuracy", "logs Endpoints/iris -f"),
    "operations": ("operations", "operations --json"),
    "outputs": ("outputs", "outputs dev dataBucket"),
    "pipeline executions": ("pipeline executions --limit 3", "pipeline executions --json"),
    "pipeline retry": ("pipeline retry --watch",),
    "pipeline start": ("pipeline start --watch",),
    "pipeline stop": ("pipeline stop --abandon --reason 'wrong dataset'",),
    "pipeline watch": ("pipeline watch", "pipeline watch --timeout 10m --json"),
    "preview": ("preview dev -c trainingMaxRuntimeSeconds=1800", "preview prd --refresh --json"),
    "pulumi": ("pulumi up --stack dev", "pulumi --provider aws preview --stack prd"),
    "refresh": ("refresh dev",),
    "reject": ("reject --summary 'worse on the new rows'",),
    "reset": ("reset", "reset --yes"),
    "simulate": ("simulate < day.json",),
    "snapshot delete": ("snapshot delete trained",),
    "snapshot list": ("snapshot list", "snapshot list --json"),
    "snapshot load": ("snapshot load trained",),
    "snapshot save": ("snapshot save trained",),
    "start": ("start --speed 60", "start -d --ephemeral --port 0", "start --iam enforce"),
    "status": ("status",),
    "stop": ("stop", "stop --endpoint-url http://127.0.0.1:4567"),
    "teardown": ("teardown", "teardown --aws --profile lab"),
    "up": ("up prd", 'up dev -c \'hyperparameters={"algorithm": "linear"}\''),
    "wait": ("wait -t 60",),
}
EXIT_STATUS = (
    "Exit status: 0 done; 1 an error; 2 a command line that cannot be read; 3 changes or findings "
    "(preview, diff, iam, evidence, drift, gameday); 130 ended by Ctrl-C."
)
VARIABLES = {
    "AWS_ENDPOINT_URL": "the local cloud's address, for every command",
    "LOCALSTACK_HOST": "the same as HOST:PORT, if AWS_ENDPOINT_URL is not set",
    "AWS_ACCESS_KEY_ID": "of 12 digits: the account that commands act in",
    "AWS_DEFAULT_REGION": "the region; us-east-1 if it is not set",
    "NO_COLOR": "set to anything: no colours",
}


def complete(command: Any, path: str = "") -> None:
    """Give a command and those below it their panel, examples and the words of their options."""
    context = command.context_class(command, info_name=path)
    for each in command.get_params(context):
        if each.param_type_name == "argument":
            _name(each)
        elif each.is_flag and each.metavar is None:
            # A flag takes no value.
            each.metavar = ""
    command.epilog = "\n\n".join(_epilog(path))
    commands = getattr(command, "commands", {})
    if not path:
        order = [name for names in PANELS.values() for name in names]
        places = {name: place for place, name in enumerate(order)}
        ordered = sorted(commands, key=lambda name: places.get(name, len(order)))
        command.commands = {name: commands[name] for name in ordered}
    for name, child in commands.items():
        if not path:
            child.rich_help_panel = next((t for t, names in PANELS.items() if name in names), None)
        complete(child, f"{path} {name}".strip())


def _name(argument: Any) -> None:
    """Show an argument in capitals, and in brackets where it may be left out."""
    name = argument.name.upper().replace("_", " ")
    argument.metavar = name
    shown = name if argument.required else f"[{name}]"
    argument.get_usage_pieces = lambda context: [shown]


def _epilog(path: str) -> Iterator[str]:
    examples = EXAMPLES.get(path, ())
    if examples:
        head = "Examples:" if len(examples) > 1 else "Example:"
        yield "\n".join((head, *(f"  localcloud {example}" for example in examples)))
    if not path:
        yield EXIT_STATUS
        listed = (f"  {name}  {text}" for name, text in VARIABLES.items())
        yield "\n".join(("Environment:", *listed))
