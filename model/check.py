"""The data check, a processing job: reads a dataset, and says whether to train on it.

    processing/dataset/…                 the dataset zip, the only file
    processing/champion/baseline.json    the baseline of the approved model, if there is one
      → processing/report/check.json     the findings
        processing/report/baseline.json  the baseline of this dataset
        processing/report/check.html     both, for people
        output/message                   one line

The exit code is 1 if something is broken, and 0 if not. The hyperparameters of training come from
environment variables SM_HP_<NAME>. SM_HP_DATA_SHIFT is `warn` (default) or `stop`.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.baseline import Baseline, read_baseline
from model.cells import one_line, quote
from model.champion_rules import (
    PSI_LIMIT,
    Comparison,
    check_schema,
    check_shifts,
    compare_with,
)
from model.channels import files_of
from model.check_page import draw_page
from model.contract import ALLOW
from model.contract_rules import check_contract
from model.errors import ContainerError, DatasetError, HyperparameterError
from model.findings import MAX_FINDINGS, VERSION, Finding, summarize
from model.hyperparameters import Hyperparameters, hyperparameters_of, parse_hyperparameters
from model.inspection import Inspection, inspect_dataset
from model.own_rules import check_by_itself, leaked_share, refusal, repeated_share
from model.paths import MlPaths
from model.statistics import baseline_of
from model.train import json_bytes, write_whole

log = logging.getLogger("model.check")

_SHIFT = "data_shift"
WARN, STOP = "warn", "stop"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a data check.

    Attributes:
        findings: broken ones first.
        inspection: the dataset's statistics; None if it could not be read.
        sha256: hex digest of the zip; empty if it was not read.
        baseline: the dataset's baseline; None without a row that can be used.
        champion: the approved model's baseline, or None.
        compared: the distances from the champion.
    """

    findings: tuple[Finding, ...]
    inspection: Inspection | None = None
    sha256: str = ""
    baseline: Baseline | None = None
    champion: Baseline | None = None
    compared: tuple[Comparison, ...] = field(default=())

    @property
    def broken(self) -> bool:
        """Return True if the dataset must not be trained on."""
        return any(finding.broken for finding in self.findings)

    @property
    def message(self) -> str:
        """Return one line of at most 300 characters."""
        if self.inspection is None:
            return summarize("", self.findings)
        train, validation = self.inspection.train, self.inspection.validation
        rows = str(train.rows) + ("" if validation is None else f" + {validation.rows}")
        columns = len(train.names)
        size = f"{columns} column{'s' * (columns != 1)}, {rows} rows"
        return summarize(size, self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the document that check.json holds."""
        return {
            "version": VERSION,
            "verdict": "broken" if self.broken else "passed",
            "message": self.message,
            "dataset": _dataset(self.inspection, self.sha256),
            "champion": None if self.champion is None else {"rows": self.champion.rows},
            "psi_limit": PSI_LIMIT,
            "findings": [finding.as_json() for finding in self.findings[:MAX_FINDINGS]],
            "findings_left_out": max(0, len(self.findings) - MAX_FINDINGS),
            "columns": [one.as_json() for one in self.compared],
        }


def run(environment: Mapping[str, str]) -> int:
    """Run the data check that an environment describes; return the exit code."""
    paths = MlPaths.from_environment(environment)
    try:
        outcome = check_dataset(paths, environment)
    except ContainerError as error:
        outcome = Outcome((refusal(error),))
    except Exception as error:
        log.exception("the data check failed")
        reason = f"{type(error).__name__}: {error} (the traceback is in the log)"
        outcome = Outcome((refusal(ContainerError(reason)),))
    for finding in outcome.findings[:MAX_FINDINGS]:
        log.info("%s: %s", finding.severity, one_line(finding.message))
    _save(paths, outcome)
    log.info("%s", outcome.message)
    return 1 if outcome.broken else 0


def check_dataset(paths: MlPaths, environment: Mapping[str, str]) -> Outcome:
    """Read the inputs, and make every check.

    Args:
        paths: the job's directories.
        environment: the job's environment variables.

    Raises:
        ContainerError: a hyperparameter, the zip, its contract or the champion's baseline cannot
            be read.
    """
    hyperparameters, stop = _settings(environment)
    champion_file = paths.processing / "champion" / "baseline.json"
    champion = read_baseline(champion_file) if champion_file.exists() else None
    path = _dataset_file(paths.processing / "dataset")
    with path.open("rb") as file:
        inspection = inspect_dataset(file, path.name, hyperparameters)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return judge(inspection, digest, champion, stop=stop)


def judge(inspection: Inspection, sha256: str, champion: Baseline | None, *, stop: bool) -> Outcome:
    """Make the checks of a dataset that was read.

    Args:
        inspection: the dataset's statistics.
        sha256: hex digest of the zip.
        champion: the approved model's baseline, or None.
        stop: a shift stops the pipeline.
    """
    train, contract = inspection.train, inspection.contract
    findings = list(inspection.findings)
    baseline, compared = None, list[Comparison]()
    if train.rows:
        baseline = baseline_of(train, inspection.label, inspection.missing_spellings)
        findings += check_contract(contract, train, inspection.validation, inspection.label)
        findings += check_by_itself(train, inspection.validation)
        if champion is not None:
            findings += check_schema(
                champion,
                train,
                regression=inspection.regression,
                allowed=contract.schema_change == ALLOW,
            )
            compared = compare_with(champion, train, inspection.label)
            findings += check_shifts(champion, train, compared, stop=stop)
    findings.sort(key=lambda finding: not finding.broken)
    return Outcome(tuple(findings), inspection, sha256, baseline, champion, tuple(compared))


def _settings(environment: Mapping[str, str]) -> tuple[Hyperparameters, bool]:
    raw = hyperparameters_of(environment)
    shift = raw.pop(_SHIFT, WARN)
    if shift not in (WARN, STOP):
        raise HyperparameterError(f"{_SHIFT} is {quote(shift)}; it must be {WARN} or {STOP}")
    return parse_hyperparameters(raw), shift == STOP


def _dataset_file(directory: Path) -> Path:
    files = files_of(directory) if directory.is_dir() else []
    if len(files) != 1:
        found = ", ".join(path.name for path in files[:5]) or "none"
        raise DatasetError(
            f"{directory} holds {len(files)} files ({found}); it must hold exactly one, the "
            "dataset zip"
        )
    return files[0]


def _dataset(inspection: Inspection | None, sha256: str) -> dict[str, Any]:
    if inspection is None:
        return {"name": None, "sha256": None, "label": None, "columns": None, "rows": None}
    train, validation = inspection.train, inspection.validation
    found: dict[str, Any] = {
        "name": inspection.name,
        "sha256": sha256,
        "label": inspection.label,
        "columns": len(train.names),
        "rows": {"train": train.rows, "validation": validation.rows if validation else None},
        "contract": inspection.has_contract,
        "repeated_share": repeated_share(train),
        "leaked_share": leaked_share(train, validation) if validation else None,
    }
    return found


def _save(paths: MlPaths, outcome: Outcome) -> None:
    report = paths.processing / "report"
    document = outcome.as_json()
    baseline = None if outcome.baseline is None else outcome.baseline.as_json()
    champion = None if outcome.champion is None else outcome.champion.as_json()
    report.mkdir(parents=True, exist_ok=True)
    paths.message.parent.mkdir(parents=True, exist_ok=True)
    write_whole(paths.message, outcome.message.encode())
    if baseline is not None:
        write_whole(report / "baseline.json", json_bytes(baseline))
    write_whole(report / "check.html", draw_page(document, baseline, champion).encode())
    write_whole(report / "check.json", json_bytes(document))
