"""CloudFormation: a stack is complete once every one of its resources really exists.

The operations and the records:

    api.py             the operations on stacks; changesets_api.py has those on change sets, and
                       sharing_api.py those on exports and more
    engine.py          creates, updates, rolls back and deletes stacks; read this first
    resource_steps.py  the same for one resource, and again after a restart
    dynamic_references.py  {{resolve:ssm:…}} and the like, resolved for each resource
    changesets.py      the lifecycle of change sets
    resource_types/    each resource type, by AWS's own APIs
    schema.py          what AWS's registry says about a type
    model.py           records and statuses
    stack_events.py    the log of their changes

From a request to rendered properties, in the order of the calls (all but the first are pure):

    template_source.py     gets the template from the request, the stack or S3
    request_validation.py  checks template, parameters, tags and capabilities
    template.py            parses the template and orders its resources
    references.py          checks the names that a template uses
    parameter_rules.py     checks the section Rules
    evaluation.py          parameter values and outputs of a stack
    intrinsics.py          evaluates functions and conditions
    exports.py             exports and imports between stacks
    changes.py             the list of changes of a change set
"""
