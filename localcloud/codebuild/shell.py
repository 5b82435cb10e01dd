"""A phase of a build as a bash script. Pure.

CodeBuild runs all commands of a build in one shell. Here each phase has a shell of its own, which
starts with the variables, shell options and directory of the one before; files carry them over. So
a phase whose shell ends early (`set -e`, `exit`) does not prevent post_build.
"""

from __future__ import annotations

import shlex
from pathlib import Path

# The files with the state of a shell.
STATE = ("variables", "options", "directory")


def script(
    commands: list[str], state: Path, replaced_variables: dict[str, str] | None = None
) -> str:
    """Return a script that runs commands until one fails, and ends with its status.

    Args:
        commands: the phase's commands.
        state: directory of the shell's state.
        replaced_variables: variables to set, instead of keeping the value of the phase before.
    """
    variables, options, directory = (shlex.quote(str(state / name)) for name in STATE)
    lines = [
        "keep() {",
        "  status=$?",
        "  trap - EXIT",
        # The options come first, because with `set -e` a failing declare would end the trap.
        f"  set +o > {options}; set +eu",
        f"  pwd > {directory}; declare -p > {variables} 2>/dev/null",
        "  exit $status",
        "}",
        f'if [ -f {directory} ]; then cd "$(cat {directory})"; fi',
        # The file also has bash's own read-only variables, which cannot be set.
        f"if [ -f {variables} ]; then . {variables} 2>/dev/null; fi",
        *(
            f"export {name}={shlex.quote(value)}"
            for name, value in (replaced_variables or {}).items()
        ),
        "trap keep EXIT",
        f"if [ -f {options} ]; then . {options}; fi",
    ]
    for command in commands:
        quoted = shlex.quote(command.strip())
        lines += [
            f"printf '%s\\n' \"[Container] Running command \"{quoted}",
            f"eval {quoted}",
            "failed=$?; if [ $failed -ne 0 ]; then exit $failed; fi",
        ]
    return "\n".join(lines) + "\n"


def read_variables(names: list[str], state: Path) -> str:
    """Return a script that prints variables of the last shell, each ended by a NUL."""
    variables = shlex.quote(str(state / STATE[0]))
    lines = [f"if [ -f {variables} ]; then . {variables} 2>/dev/null; fi"]
    lines += [f"printf '%s=%s\\0' {name} \"${{{name}-}}\"" for name in names]
    return "\n".join(lines) + "\n"
