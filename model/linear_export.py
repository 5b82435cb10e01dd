"""Writes linear models as ONNX models that calculate with 64-bit floats.

With 32-bit floats, as skl2onnx writes them, a column of a large offset, such as days since 1970,
loses the digits that matter when its mean is subtracted, and coefficients of columns that say
nearly the same are large and cancel. The input and the output are 32-bit floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline

from model.onnx_answer import answer_nodes, answer_outputs

_INPUT, _VALUE, _SCORES, _LABEL, _PROBABILITIES = "input", "value", "scores", "label", "shares"


def is_linear(estimator: Any) -> bool:
    """Return True for a pipeline that ends with a linear or logistic regression."""
    linear = (LinearRegression, LogisticRegression)
    return isinstance(estimator, Pipeline) and isinstance(estimator[-1], linear)


def linear_to_onnx(estimator: Any, width: int) -> ModelProto:
    """Return the ONNX model of a fitted linear model.

    Its input is float32, shape (rows, width). Its outputs are class numbers and probabilities, or a
    regression's values.

    Args:
        estimator: a pipeline of a `standardscaler` and, last, a linear or logistic regression.
        width: numbers per row.
    """
    scaler, model = estimator.named_steps["standardscaler"], estimator[-1]
    classes = len(model.classes_) if hasattr(model, "classes_") else 0
    # The scaling is a part of the coefficients.
    coefficients = np.atleast_2d(model.coef_).astype(np.float64) / scaler.scale_
    intercept = np.atleast_1d(model.intercept_) - coefficients @ scaler.mean_
    constants = {"coefficients": coefficients.T, "intercept": intercept}
    result = _SCORES if classes else _VALUE
    nodes = [
        helper.make_node("Cast", [_INPUT], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Gemm", ["wide", "coefficients", "intercept"], ["wide_result"]),
        helper.make_node("Cast", ["wide_result"], [result], to=TensorProto.FLOAT),
    ]
    if classes:
        answer, of_answer = answer_nodes(_SCORES, _LABEL, _PROBABILITIES, classes)
        nodes += answer
        constants |= of_answer
    graph = helper.make_graph(
        nodes,
        "linear_model",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, width])],
        answer_outputs(_VALUE, _LABEL, _PROBABILITIES, classes),
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
