"""Reads the prices of SageMaker's instances from AWS's Price List API.

Only ``python -m components.prices --refresh`` uses it, with the user's own credentials, which need
``pricing:GetProducts``.

Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from components.instance_types import hosting_types

# The API has few endpoints; each has the prices of all regions.
API_REGION = "us-east-1"
SERVICE = "AmazonSageMaker"
SOURCE = "AWS Price List API, GetProducts of AmazonSageMaker, component Hosting"


class PriceListError(Exception):
    """The price list could not be read, or does not have what it should."""


def client(profile: str | None) -> Any:
    """Return a client of the Price List API.

    Raises: PriceListError when the profile does not exist.
    """
    try:
        return boto3.Session(profile_name=profile).client("pricing", region_name=API_REGION)
    except BotoCoreError as error:
        raise PriceListError(f"AWS's price list cannot be read: {error}") from None


def read(pricing: Any, region: str) -> dict[str, float]:
    """Return US dollars per hour of the instance types that endpoints may have.

    Args:
        pricing: a client of the Price List API.
        region: the region whose prices are read.

    Raises: PriceListError when the list cannot be read, is empty or has two prices for one type.
    """
    wanted = {"regionCode": region, "component": "Hosting"}
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()
    ]
    try:
        pages = pricing.get_paginator("get_products").paginate(ServiceCode=SERVICE, Filters=filters)
        products = [json.loads(product) for page in pages for product in page["PriceList"]]
    except (BotoCoreError, ClientError) as error:
        raise PriceListError(f"AWS's price list cannot be read: {error}") from None
    hours = hourly(products)
    if not hours:
        raise PriceListError(f"AWS's price list has no instances that host endpoints in {region}")
    return hours


def hourly(products: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return US dollars per hour by instance type, sorted, from products of the price list.

    Raises: PriceListError when one type has two prices.
    """
    found: dict[str, float] = {}
    for product in products:
        name = product["product"]["attributes"].get("instanceName", "")
        if name not in hosting_types():
            continue
        for price in _on_demand(product):
            if found.setdefault(name, price) != price:
                raise PriceListError(
                    f"AWS's price list has two prices of {name}: {found[name]:g} and {price:g}"
                )
    return dict(sorted(found.items()))


def _on_demand(product: Mapping[str, Any]) -> Iterable[float]:
    for offer in product["terms"].get("OnDemand", {}).values():
        for dimension in offer["priceDimensions"].values():
            price = float(dimension["pricePerUnit"].get("USD", 0))
            if price:
                yield price


def refreshed(tables: Mapping[str, Any], hours: Mapping[str, float], today: date) -> dict[str, Any]:
    """Return the tables of ``prices.json`` with new instance prices; the others stay."""
    instances = {"date": today.isoformat(), "source": SOURCE, "hour": dict(hours)}
    return {**tables, "instances": instances}
