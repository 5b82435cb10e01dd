"""The script of the processing jobs: it has the container's paths written in it, as most have."""

import json
import sys
from pathlib import Path

given, made = Path("/opt/ml/processing/input"), Path("/opt/ml/processing/output")
rows = sum(len(path.read_text().splitlines()) for path in given.rglob("*.csv"))
(made / "rows.json").write_text(json.dumps({"rows": rows, "arguments": sys.argv[1:]}))
print(f"counted {rows} rows")
