"""The dated prices: the warning about old ones, and their refresh from AWS's price list."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from components import price_list, prices

NEW, OLD, TODAY = "2026-06-03", "2026-06-02", date(2026, 11, 30)
FILTERS = [
    {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"},
    {"Type": "TERM_MATCH", "Field": "component", "Value": "Hosting"},
]


def product(instance_type: str, *usd: str) -> str:
    """Return a product as GetProducts has it: JSON in a string."""
    dimensions = {
        str(number): {"unit": "Hrs", "pricePerUnit": {"USD": price}}
        for number, price in enumerate(usd)
    }
    return json.dumps(
        {
            "product": {"attributes": {"instanceName": instance_type, "component": "Hosting"}},
            "terms": {"OnDemand": {"offer": {"priceDimensions": dimensions}}},
        }
    )


def pricing(*pages: list[str], error: str = "") -> Any:
    """Return a client whose price list has these pages."""
    client = boto3.client(
        "pricing",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    stub = Stubber(client)
    request: dict[str, Any] = {"ServiceCode": "AmazonSageMaker", "Filters": FILTERS}
    for number, page in enumerate(pages):
        more = {} if number == len(pages) - 1 else {"NextToken": f"token-{number}"}
        stub.add_response("get_products", {"PriceList": page, **more}, request)
        request = {**request, **more}
    if error:
        stub.add_client_error("get_products", error, "You may not.")
    stub.activate()
    return client


@pytest.mark.parametrize(
    ("instances", "services", "expected"),
    [
        (NEW, NEW, ""),
        (
            OLD,
            NEW,
            "The estimate uses prices that are more than 180 days old, instances of 2026-06-02: "
            "run python -m components.prices --refresh",
        ),
        (
            NEW,
            OLD,
            "The estimate uses prices that are more than 180 days old, other services of "
            "2026-06-02: correct components/prices.json by hand",
        ),
        (
            OLD,
            OLD,
            "The estimate uses prices that are more than 180 days old, instances of 2026-06-02 "
            "and other services of 2026-06-02: run python -m components.prices --refresh, and "
            "correct components/prices.json by hand",
        ),
    ],
)
def test_prices_older_than_180_days_are_never_without_a_warning(
    instances: str, services: str, expected: str
) -> None:
    assert prices.warning(TODAY, instances, services) == expected


def test_every_table_has_a_date_that_is_past_and_a_source() -> None:
    tables = json.loads(prices.FILE.read_text())
    for table in (tables["instances"], tables["services"]):
        assert date.fromisoformat(table["date"]) <= date.today()
        assert table["source"]


def test_the_refreshed_prices_are_those_of_types_that_host_endpoints() -> None:
    client = pricing(
        [product("ml.m7i.large", "0.125", "0.125"), product("ml.nonsense.large", "9")],
        [product("ml.c7i.large", "0.1"), product("ml.c5.large", "0.0000000000"), product("")],
    )
    assert price_list.read(client, "us-east-1") == {"ml.c7i.large": 0.1, "ml.m7i.large": 0.125}


@pytest.mark.parametrize(
    ("pages", "error", "message"),
    [
        ([[product("ml.m5.large", "1", "2")]], "", "two prices of ml.m5.large: 1 and 2"),
        ([[]], "", "no instances that host endpoints in us-east-1"),
        ([], "AccessDeniedException", "cannot be read: .*AccessDeniedException"),
    ],
)
def test_a_price_list_without_clear_prices_is_refused(
    pages: list[list[str]], error: str, message: str
) -> None:
    with pytest.raises(price_list.PriceListError, match=message):
        price_list.read(pricing(*pages, error=error), "us-east-1")


def test_a_refresh_rewrites_the_instances_with_their_date_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, before = tmp_path / "prices.json", json.loads(prices.FILE.read_text())
    monkeypatch.setattr(prices, "FILE", file)
    page = [product("ml.m7i.large", "0.125")]
    monkeypatch.setattr(price_list, "client", lambda profile: pricing(page))
    assert prices.main(["--refresh", "--profile", "mine"]) == 0
    after = json.loads(file.read_text())
    assert after["instances"] == {
        "date": date.today().isoformat(),
        "source": price_list.SOURCE,
        "hour": {"ml.m7i.large": 0.125},
    }
    assert {**after, "instances": None} == {**before, "instances": None}
    assert "1 instance prices of today" in capsys.readouterr().out


def test_a_refresh_that_fails_leaves_the_prices_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prices, "FILE", tmp_path / "prices.json")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert prices.main(["--refresh", "--profile", "absent"]) == 1
    error = capsys.readouterr().err
    assert "The config profile (absent) could not be found; prices.json is unchanged\n" in error
    assert not prices.FILE.exists()
