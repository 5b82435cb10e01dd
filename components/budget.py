"""MonthlyBudget: a monthly cost budget for a stack, with e-mail notifications."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.naming import Names

# Percent of the budget at which AWS sends an e-mail: for the actual cost of the month so far, and
# for the forecast of the whole month.
NOTIFICATION_THRESHOLDS = (("ACTUAL", 80), ("FORECASTED", 100))


class MonthlyBudget(pulumi.ComponentResource):
    """A cost budget for the resources with the stack's tag.

    AWS counts a tag only after it is activated as a cost allocation tag in the billing console.
    Source: https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-managing-costs.html
    """

    def __init__(
        self,
        name: str,
        names: Names,
        stack: str,
        *,
        limit_usd: int,
        email: str,
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:MonthlyBudget", name, None, opts)
        aws.budgets.Budget(
            name,
            name=f"mlops-{names.model}-{stack}",
            budget_type="COST",
            limit_amount=str(limit_usd),
            limit_unit="USD",
            time_unit="MONTHLY",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:stack${stack}"]}],
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "notification_type": kind,
                    "threshold": percent,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": [email],
                }
                for kind, percent in NOTIFICATION_THRESHOLDS
            ],
            tags=dict(tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
