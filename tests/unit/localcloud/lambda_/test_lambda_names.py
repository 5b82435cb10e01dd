"""Names of functions: a name, a part of an ARN, an ARN, each with or without a qualifier."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.aws.errors import AwsError
from localcloud.aws.routing import Scope
from localcloud.lambda_.names import FunctionName, parse

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"
)

SCOPE = Scope("123456789012", "us-west-2")
# With a qualifier, a name of twelve digits reads as an account with a name.
NAMES = st.text("abcXYZ019-_", min_size=1, max_size=20).filter(
    lambda name: not (len(name) == 12 and name.isdigit())
)


@given(NAMES, st.sampled_from(["", "1", "PROD", "$LATEST", "a-b_c"]))
def test_each_form_of_a_name_means_the_same(name: str, qualifier: str) -> None:
    expected = FunctionName(SCOPE, name, qualifier)
    suffix = f":{qualifier}" if qualifier else ""
    forms = [name, f"function:{name}", f"123456789012:function:{name}", expected.arn]
    for form in forms if name != "function" else forms[1:]:
        assert parse(SCOPE, form + suffix) == expected
        assert parse(SCOPE, form, qualifier) == expected
        assert parse(SCOPE, form + suffix, qualifier) == expected
    assert (
        expected.qualified_arn == f"arn:aws:lambda:us-west-2:123456789012:function:{name}{suffix}"
    )


def test_an_arn_names_its_own_account_and_region() -> None:
    found = parse(SCOPE, "arn:aws:lambda:eu-west-1:210987654321:function:f:1")
    assert found == FunctionName(Scope("210987654321", "eu-west-1"), "f", "1")


@pytest.mark.parametrize("text", ["", "a b", "f:", "f:1:2", "arn:aws:s3:::b", "f:$OTHER", "ü"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(AwsError) as caught:
        parse(SCOPE, text)
    assert caught.value.code == "ValidationException"


def test_two_qualifiers_are_refused() -> None:
    with pytest.raises(AwsError) as caught:
        parse(SCOPE, "f:1", "2")
    assert caught.value.code == "InvalidParameterValueException"
