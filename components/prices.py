"""List prices of one date; `python -m components.prices` writes them as JSON.

Pure. On-demand prices in US dollars, without free tiers and taxes.
Source: https://aws.amazon.com/sagemaker/ai/pricing/ and the price pages of each service.
"""

import json
import sys

# The date of these list prices. They were not read from AWS's price list when this was written, and
# prices change: look them up before you rely on them.
PRICE_DATE = "2024-10-01"
PRICE_REGION = "us-east-1"
HOURS_PER_MONTH = 730

# US dollars per hour, for real-time hosting and for training.
INSTANCE_HOUR = {
    "ml.t2.medium": 0.056,
    "ml.t2.large": 0.111,
    "ml.t2.xlarge": 0.223,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.c5.large": 0.102,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.r5.large": 0.151,
}
KEY_MONTH = 1.00
ALARM_METRIC_MONTH = 0.10
DASHBOARD_MONTH = 3.00
PIPELINE_ACTION_MINUTE = 0.002
BUILD_MINUTE = 0.005
STORAGE_GB_MONTH = 0.023


def main() -> int:
    """Write the instance prices to standard output, for programs that must not import this one."""
    document = {
        "priceDate": PRICE_DATE,
        "priceRegion": PRICE_REGION,
        "currency": "USD",
        "instanceHour": INSTANCE_HOUR,
    }
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
