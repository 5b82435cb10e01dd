"""Writes linear regression as an ONNX model that calculates with 64-bit floats.

A one-hot column, or one of a large offset, is subtracted from its mean, and coefficients of columns
that say nearly the same are large and cancel: with 32-bit floats, as skl2onnx writes the model,
the digits that matter would be lost. The input and the output remain 32-bit floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

_INPUT, _VALUE = "input", "value"


def is_linear_regression(estimator: Any) -> bool:
    """Return True for a pipeline that ends with a StandardScaler and a LinearRegression."""
    return isinstance(estimator, Pipeline) and isinstance(estimator[-1], LinearRegression)


def linear_to_onnx(estimator: Any, width: int) -> ModelProto:
    """Return the ONNX model of a fitted linear regression.

    Its input is float32, shape (rows, width), and its output float32, shape (rows, 1).

    Args:
        estimator: a pipeline that ends with a StandardScaler and a LinearRegression.
        width: numbers per row.
    """
    scaler, linear = estimator[-2], estimator[-1]
    slopes = np.asarray(linear.coef_, np.float64).reshape(width, 1) / scaler.scale_.reshape(-1, 1)
    constants = {
        "mean": np.asarray(scaler.mean_, np.float64).reshape(1, width),
        "slopes": slopes,
        "intercept": np.asarray(linear.intercept_, np.float64).reshape(1),
    }
    nodes = [
        helper.make_node("Cast", [_INPUT], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["wide", "mean"], ["centred"]),
        helper.make_node("Gemm", ["centred", "slopes", "intercept"], ["wide_value"]),
        helper.make_node("Cast", ["wide_value"], [_VALUE], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "linear_regression",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(_VALUE, TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
