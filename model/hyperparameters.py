"""Pure: parses SageMaker's hyperparameters, which are strings, and reports all problems together.

The table `SPECIFICATIONS` defines every hyperparameter: its name, its algorithms, its type, its
range and its defaults.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from model.cells import quote, spellings_of
from model.errors import HyperparameterError
from model.rows import ACCEPT, REFUSE, ReadOptions, column_names

NATIVE, ONE_HOT = "native", "one-hot"
SIGMOID, ISOTONIC = "sigmoid", "isotonic"
# Metrics by which a threshold can be chosen.
THRESHOLD_METRICS = ("f1", "accuracy", "balanced_accuracy")
# Folds by which a calibration and a threshold are learnt, unless cross_validation says it.
_DECISION_FOLDS = 5
# A processing job gets each hyperparameter in an environment variable.
_VARIABLE = "SM_HP_"
# SageMaker's own tools (sagemaker_program, sagemaker_region, …) and tuning jobs add these.
_IGNORED_PREFIXES = ("sagemaker_", "_tuning_objective_metric")

Value = int | float | str | Mapping[str, float] | None


class Algorithm(StrEnum):
    """The estimators that can be trained."""

    RANDOM_FOREST = "random-forest"
    GRADIENT_BOOSTING = "gradient-boosting"
    LOGISTIC_REGRESSION = "logistic-regression"
    HIST_GRADIENT_BOOSTING = "hist-gradient-boosting"
    LINEAR_REGRESSION = "linear-regression"
    EXTRA_TREES = "extra-trees"


_FOREST, _BOOSTING, _LOGISTIC, _HIST, _LINEAR, _EXTRA = Algorithm
_TREES = (_FOREST, _EXTRA, _BOOSTING)
# These predict classes or a value, as the dataset says.
_EITHER = (*_TREES, _HIST)
_CLASSIFIERS = (*_EITHER, _LOGISTIC)


@dataclass(frozen=True, slots=True)
class Specification:
    """The specification of one hyperparameter.

    Attributes:
        kind: int, float or str.
        defaults: the default value by algorithm; its keys are the algorithms that have this
            hyperparameter.
        low: smallest number allowed.
        high: largest number allowed.
        open_low: `low` itself is not allowed.
        choices: the strings allowed, for str (empty allows any), or besides numbers.
        none: "none" is allowed as well and means no limit.
        weights: a JSON object of positive numbers is allowed as well.
    """

    kind: type[int] | type[float] | type[str]
    defaults: Mapping[Algorithm, Value]
    low: float = 0
    high: float = 0
    open_low: bool = False
    choices: tuple[str, ...] = ()
    none: bool = False
    weights: bool = False

    @property
    def allowed(self) -> str:
        """Return a description of the allowed values, for messages."""
        if self.kind is str:
            text = " or ".join(self.choices)
            example = ' or a JSON object such as {"yes": 2, "no": 1}'
            return text + (example if self.weights else "")
        noun = "a whole number" if self.kind is int else "a number"
        low = f"above {self.low:g}" if self.open_low else f"from {self.low:g}"
        others = [*self.choices, *(["none"] if self.none else [])]
        return " or ".join([f"{noun} {low} to {self.high:.10g}", *others])

    def parse(self, text: str) -> Value:
        """Return the value that a string holds.

        Raises:
            ValueError: the value is not allowed.
        """
        if self.none and text.lower() == "none":
            return None
        if self.kind is str:
            if self.weights and text.startswith("{"):
                return _weights(text)
            if text not in self.choices and self.choices:
                raise ValueError
            return None if text == "none" else text
        if text in self.choices:
            return text
        if not text.isascii() or "_" in text:
            raise ValueError
        number = int(text) if self.kind is int else float(text)
        if not math.isfinite(number) or not self.low <= number <= self.high:
            raise ValueError
        if self.open_low and number == self.low:
            raise ValueError
        return number


def _for_all_algorithms(value: Value) -> dict[Algorithm, Value]:
    return dict.fromkeys(Algorithm, value)


SPECIFICATIONS: Mapping[str, Specification] = {
    "n_estimators": Specification(int, dict.fromkeys(_TREES, 100), 1, 2000),
    "max_depth": Specification(
        int, {_FOREST: None, _EXTRA: None, _BOOSTING: 3, _HIST: None}, 1, 64, none=True
    ),
    "min_samples_leaf": Specification(
        int, {_FOREST: 1, _EXTRA: 1, _BOOSTING: 1, _HIST: 20}, 1, 10_000
    ),
    "max_leaf_nodes": Specification(int, {_HIST: 31}, 2, 10_000, none=True),
    "l2_regularization": Specification(float, {_HIST: 0.0}, 0, 1_000_000),
    "learning_rate": Specification(float, {_BOOSTING: 0.1, _HIST: 0.1}, 0, 1, open_low=True),
    "subsample": Specification(float, {_BOOSTING: 1.0}, 0, 1, open_low=True),
    "C": Specification(float, {_LOGISTIC: 1.0}, 0, 1_000_000, open_low=True),
    "max_iter": Specification(int, {_LOGISTIC: 1000, _HIST: 100}, 1, 100_000),
    "n_iter_no_change": Specification(int, dict.fromkeys((_BOOSTING, _HIST)), 1, 1000, none=True),
    "class_weight": Specification(
        str,
        dict.fromkeys((_FOREST, _EXTRA, _LOGISTIC, _HIST)),
        choices=("none", "balanced"),
        weights=True,
    ),
    "calibration": Specification(
        str, dict.fromkeys(_CLASSIFIERS), choices=("none", SIGMOID, ISOTONIC)
    ),
    "decision_threshold": Specification(
        float,
        dict.fromkeys(_CLASSIFIERS),
        0,
        1,
        open_low=True,
        choices=THRESHOLD_METRICS,
        none=True,
    ),
    "positive_class": Specification(str, dict.fromkeys(_CLASSIFIERS)),
    "cross_validation": Specification(int, _for_all_algorithms(None), 2, 20, none=True),
    "regression": Specification(str, dict.fromkeys(_EITHER, "no"), choices=("no", "yes")),
    "header": Specification(str, _for_all_algorithms("no"), choices=("no", "yes")),
    "categorical_columns": Specification(str, _for_all_algorithms(None)),
    "date_columns": Specification(str, _for_all_algorithms(None)),
    "categorical_encoding": Specification(str, {_HIST: NATIVE}, choices=(NATIVE, ONE_HOT)),
    "max_categories": Specification(int, _for_all_algorithms(None), 2, 255, none=True),
    "missing_values": Specification(str, _for_all_algorithms(REFUSE), choices=(REFUSE, ACCEPT)),
    "missing_spellings": Specification(str, _for_all_algorithms(None)),
    "validation_fraction": Specification(float, _for_all_algorithms(0.2), 0.05, 0.5),
    "seed": Specification(int, _for_all_algorithms(0), 0, 2**32 - 1),
}
# These are not arguments of scikit-learn's estimators under the same name.
_NOT_ESTIMATOR_ARGUMENTS = frozenset(
    {
        "validation_fraction",
        "seed",
        "class_weight",
        "calibration",
        "decision_threshold",
        "positive_class",
        "cross_validation",
        "regression",
        "header",
        "categorical_columns",
        "date_columns",
        "categorical_encoding",
        "max_categories",
        "missing_values",
        "missing_spellings",
    }
)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The algorithm and its hyperparameters.

    Attributes:
        algorithm: the estimator to fit.
        values: every hyperparameter of the algorithm, including defaults.
    """

    algorithm: Algorithm = Algorithm.RANDOM_FOREST
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """Return the seed for the split, the fit and the permutations."""
        return int(str(self.values["seed"]))

    @property
    def validation_fraction(self) -> float:
        """Return the share of the rows to hold out if the dataset has no validation rows."""
        return float(str(self.values["validation_fraction"]))

    @property
    def regression(self) -> bool:
        """Return True if a number is predicted instead of a class, whatever the dataset says."""
        match self.algorithm:
            case Algorithm.LINEAR_REGRESSION:
                return True
            case Algorithm.LOGISTIC_REGRESSION:
                return False
            case (
                Algorithm.RANDOM_FOREST
                | Algorithm.EXTRA_TREES
                | Algorithm.GRADIENT_BOOSTING
                | Algorithm.HIST_GRADIENT_BOOSTING
            ):
                return self.values["regression"] == "yes"
            case _:
                assert_never(self.algorithm)

    @property
    def max_categories(self) -> int | None:
        """Return the number of categories of a column beyond which the rarest become one."""
        chosen = self.values["max_categories"]
        return None if chosen is None else int(str(chosen))

    @property
    def decides(self) -> bool:
        """Return True if probabilities are calibrated, or a threshold decides."""
        return any(self.values.get(name) for name in ("calibration", "decision_threshold"))

    @property
    def folds(self) -> int:
        """Return the number of folds of the training rows; 0 if none are needed."""
        chosen = self.values["cross_validation"]
        learnt = isinstance(self.values.get("decision_threshold"), str)
        if chosen is None:
            return _DECISION_FOLDS if learnt or self.values.get("calibration") else 0
        return int(str(chosen))

    @property
    def coded_categories(self) -> bool:
        """Return True if the algorithm splits on sets of categories, without one-hot columns."""
        return self.values.get("categorical_encoding") == NATIVE

    @property
    def read_options(self) -> ReadOptions:
        """Return the options for reading the dataset's tables.

        Raises:
            HyperparameterError: date_columns names a column twice.
        """
        options = ReadOptions(
            header=self.values["header"] == "yes",
            categorical=column_names(str(self.values["categorical_columns"] or "")),
            accept_missing=self.values["missing_values"] == ACCEPT,
            regression=self.regression,
            may_regress=self.algorithm in _EITHER,
            missing_spellings=spellings_of(
                column_names(str(self.values["missing_spellings"] or ""))
            ),
        )

        def fail(message: str) -> HyperparameterError:
            return HyperparameterError(f"hyperparameters: date_columns {message}")

        return options.with_dates(str(self.values["date_columns"] or ""), fail)

    @property
    def estimator_arguments(self) -> dict[str, Value]:
        """Return the values that are arguments of scikit-learn's estimator."""
        return {
            name: value
            for name, value in self.values.items()
            if name not in _NOT_ESTIMATOR_ARGUMENTS
        }

    def as_json(self) -> dict[str, Value]:
        """Return the algorithm and its hyperparameters as one JSON object."""
        return {"algorithm": str(self.algorithm), **self.values}


def parse_hyperparameters(raw: Mapping[str, object]) -> Hyperparameters:
    """Parse SageMaker's map of strings.

    Args:
        raw: the content of hyperparameters.json. Keys that begin with `sagemaker_` are ignored. A
            value that the SageMaker Python SDK wrapped in JSON quotes is unwrapped.

    Raises:
        HyperparameterError: one or more are invalid; the message lists all of them.
    """
    strings = {k: _unquoted(v) for k, v in raw.items() if not k.startswith(_IGNORED_PREFIXES)}
    problems: list[str] = []
    algorithm = Algorithm.RANDOM_FOREST
    chosen = strings.pop("algorithm", algorithm.value)
    try:
        algorithm = Algorithm(chosen)
        known = True
    except ValueError:
        problems.append(f"algorithm is {quote(chosen)}; it must be {' or '.join(Algorithm)}")
        known = False
    values: dict[str, Value] = {
        name: specification.defaults[algorithm]
        for name, specification in SPECIFICATIONS.items()
        if algorithm in specification.defaults
    }
    for name, text in strings.items():
        found = SPECIFICATIONS.get(name)
        if found is None:
            allowed = ", ".join(["algorithm", *SPECIFICATIONS])
            problems.append(f"{quote(name)} is not a hyperparameter; the names are {allowed}")
        elif known and name not in values:
            usable = ", ".join(values)
            problems.append(
                f"{name} does not apply to {algorithm}; its hyperparameters are {usable}"
            )
        else:
            try:
                values[name] = found.parse(text.strip())
            except ValueError:
                problems.append(f"{name} is {quote(text)}; it must be {found.allowed}")
    if problems:
        raise HyperparameterError("hyperparameters: " + "; ".join(problems))
    return Hyperparameters(algorithm, values)


def hyperparameters_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the hyperparameters that environment variables SM_HP_<NAME> hold, by name.

    A name that no hyperparameter has is returned in small letters.
    """
    names = {name.upper(): name for name in SPECIFICATIONS}
    return {
        names.get(key.removeprefix(_VARIABLE), key.removeprefix(_VARIABLE).lower()): value
        for key, value in environment.items()
        if key.startswith(_VARIABLE)
    }


def check_class_weight(setting: object, classes: Iterable[str]) -> None:
    """Check that the hyperparameter class_weight gives each class of the dataset a weight.

    Args:
        setting: None, `balanced`, or a weight by class name.
        classes: the class names, in the order of their numbers.

    Raises:
        HyperparameterError: a weight is given for an unknown class, or a class has no weight.
    """
    if isinstance(setting, Mapping) and set(setting) != set(classes):
        raise HyperparameterError(
            f"class_weight names {', '.join(map(quote, setting))}, but the dataset has the classes "
            f"{', '.join(map(quote, classes))}; give each of them a weight"
        )


def check_decision(hyperparameters: Hyperparameters, classes: Sequence[str]) -> None:
    """Check that the hyperparameters about two classes fit the dataset.

    Args:
        hyperparameters: the algorithm and its values.
        classes: the class names; empty for a regression.

    Raises:
        HyperparameterError: the dataset has not two classes, or positive_class is none of them.
    """
    names = ("calibration", "decision_threshold", "positive_class")
    given = [name for name in names if hyperparameters.values.get(name)]
    if not given:
        return
    if len(classes) != 2:
        found = f"{len(classes)} classes" if classes else "a number to predict"
        verb = "is" if len(given) == 1 else "are"
        raise HyperparameterError(
            f"hyperparameters: {' and '.join(given)} {verb} for two classes, and this dataset has "
            f"{found}; leave {'it' if len(given) == 1 else 'them'} out"
        )
    positive = hyperparameters.values.get("positive_class")
    if positive is not None and positive not in classes:
        raise HyperparameterError(
            f"hyperparameters: positive_class is {quote(str(positive))}; it must be "
            f"{' or '.join(map(quote, classes))}"
        )


def _weights(text: str) -> dict[str, float]:
    """Return the weights in a JSON object of positive numbers.

    Raises:
        ValueError: the string is not such an object.
    """
    document = json.loads(text)
    for weight in document.values():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise ValueError
        if not 0 < weight < math.inf:
            raise ValueError
    if not document:
        raise ValueError
    return {name: float(weight) for name, weight in document.items()}


def _unquoted(value: object) -> str:
    """Return a value as a string, without the JSON quotes that the SageMaker SDK adds."""
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            unwrapped = json.loads(text)
        except ValueError:
            return text
        return unwrapped if isinstance(unwrapped, str) else text
    return text
