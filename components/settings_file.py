"""``make settings``: writes the settings' declarations into ``Pulumi.yaml``.

Pure but for its main program. Must not: read a stack's configuration.
"""

import sys
from pathlib import Path

import yaml

from components.setting_kinds import Setting
from components.settings import REGION_KEY
from components.settings_loader import declared

MARK = "config:\n"
_HEADINGS = {
    "modelName": "The stack",
    "instanceType": "The endpoint",
    "productionStack": "Delivery (dev)",
    "trainingInstanceType": "Training (dev)",
    "deliveryAccount": "Delivery (prd)",
}


def config_section() -> str:
    """Return the section ``config`` of the project file, from the declarations."""
    lines = [MARK]
    for setting in declared():
        if setting.key == REGION_KEY:
            continue
        if setting.key in _HEADINGS:
            lines.append(f"  # {_HEADINGS[setting.key]}\n")
        lines.append(f"  {setting.key}:\n")
        for name, value in _schema(setting).items():
            shown = yaml.safe_dump(value, width=10_000, allow_unicode=True).partition("\n")[0]
            lines.append(f"    {name}: {shown}\n")
    return "".join(lines)


def _schema(setting: Setting) -> dict[str, object]:
    default = {} if setting.default is None else {"default": setting.default}
    return {"type": setting.type, **default, "description": setting.description}


def main(file: Path) -> None:
    """Replace everything from the section ``config`` on, which is the last one of the file."""
    head, _, _ = file.read_text().partition(MARK)
    file.write_text(head + config_section())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
