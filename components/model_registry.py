"""ModelRegistry: the functions that register a trained model, and approve or reject it.

    Train ─► Register ─► … ─► Promote ─► production   by the pipeline's actions
    an execution ends without success ─► reject       by EventBridge

The group of the versions belongs to no stack. It holds the record of what was in production and
why, which outlives the pipeline, and AWS deletes no group that has versions.
"""

import pulumi

from components import policies
from components.function_trigger import invoke_on
from components.naming import Names
from components.pipeline_function import PipelineFunction, PipelineFunctionArgs
from components.policies import Statement

MODULE = "model_packages"
# How an execution ends whose model is not, or not for sure, in production.
ENDED = ("FAILED", "STOPPED", "SUPERSEDED")


class ModelRegistry(pulumi.ComponentResource):
    """The functions `register`, `promote` and `reject`, and the rule that invokes the last one.

    With ``shared``, `register` lets another account deploy the versions.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html
    """

    def __init__(
        self,
        name: str,
        names: Names,
        args: PipelineFunctionArgs,
        *,
        shared: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:ModelRegistry", name, None, opts)
        self._names, self._args = names, args
        self.register = self._function("register", policies.register_versions(names, shared=shared))
        self.promote = self._function("promote", policies.decide_on_versions(names))
        reject = self._function(
            "reject",
            [
                *policies.decide_on_versions(names),
                *policies.read_versions(names),
                *policies.read_executions(names),
            ],
            by_pipeline=False,
        )
        self._on_end(reject)
        self.register_outputs(
            {"register": self.register.name, "promote": self.promote.name, "reject": reject.name}
        )

    def _function(
        self, purpose: str, grants: list[Statement], *, by_pipeline: bool = True
    ) -> PipelineFunction:
        return PipelineFunction(
            purpose,
            MODULE,
            self._names,
            self._args,
            grants=grants,
            handler=f"{purpose}_handler",
            by_pipeline=by_pipeline,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _on_end(self, reject: PipelineFunction) -> None:
        pipeline = self._names.pipeline
        invoke_on(
            "execution-ended",
            f"{self._names.model}-execution-ended",
            reject,
            pattern={
                "source": ["aws.codepipeline"],
                "detail-type": ["CodePipeline Pipeline Execution State Change"],
                "detail": {"pipeline": [pipeline], "state": list(ENDED)},
            },
            description=f"Rejects the model of an execution of {pipeline} that did not promote it",
            statement_id="events",
            target_id="reject",
            tags=self._args.tags,
            parent=self,
        )
