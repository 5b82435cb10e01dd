"""JSON objects that name a member twice: every way to read a body takes the last, as json does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.model.container import Server

SETOSA, VIRGINICA = "[5.1, 3.5, 1.4, 0.2]", "[6.3, 3.3, 6.0, 2.5]"
NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")


def columns(row: str) -> str:
    cells: dict[str, Any] = dict(zip(NAMES, ([cell] for cell in json.loads(row)), strict=True))
    return json.dumps(cells)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"instances": [{SETOSA}], "instances": [{VIRGINICA}]}}',
        f'{{"instances": {SETOSA}, "instances": {VIRGINICA}}}',
        f'{{"instances": [{SETOSA}], "other": 1, "instances": [{VIRGINICA}]}}',
        f'{{"instances": [{SETOSA}], "inst\\u0061nces": [{VIRGINICA}]}}',
        f'{{"instances": 1, "instances": [{VIRGINICA}]}}',
        f'{{"columns": {columns(SETOSA)}, "columns": {columns(VIRGINICA)}}}',
    ],
)
def test_the_last_of_two_members_of_one_name_is_read(server: Server, body: str) -> None:
    answer = server.invoke(body, "application/json", "text/csv")
    assert (answer.status, answer.body) == (200, "virginica\n")


def test_the_last_of_two_members_of_a_line_is_read(server: Server) -> None:
    line = f'{{"features": {SETOSA}, "features": {VIRGINICA}}}'
    answer = server.invoke(f"{line}\n{line}\n", "application/jsonlines", "text/csv")
    assert (answer.status, answer.body) == (200, "virginica\nvirginica\n")


@pytest.mark.parametrize("last", ["1", "[]", '"text"', "[[]]", "[[1, 2, 3]]"])
def test_a_last_member_that_is_no_rows_is_refused_whatever_came_before(
    server: Server, last: str
) -> None:
    body = f'{{"instances": [{SETOSA}], "instances": {last}}}'
    assert server.invoke(body, "application/json").status == 400


def test_other_members_beside_the_instances_are_not_read(server: Server) -> None:
    body = f'{{"other": [{SETOSA}], "instances": [{VIRGINICA}], "more": {{"instances": 1}}}}'
    answer = server.invoke(body, "application/json", "text/csv")
    assert (answer.status, answer.body) == (200, "virginica\n")


def test_columns_go_before_instances(server: Server) -> None:
    body = f'{{"instances": [{SETOSA}], "columns": {columns(VIRGINICA)}}}'
    answer = server.invoke(body, "application/json", "text/csv")
    assert (answer.status, answer.body) == (200, "virginica\n")
