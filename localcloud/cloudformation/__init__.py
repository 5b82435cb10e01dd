"""CloudFormation: a stack is complete once every one of its resources really exists.

The operations and the records:

    api.py             the operations on stacks; changesets_api.py has those on change sets, and
                       sharing_api.py those on exports and more
    engine.py          creates, updates, rolls back and deletes stacks; read this first
    resource_steps.py  the same for one resource, and again after a restart
    dynamic_references.py  {{resolve:ssm:…}} and the like, resolved for each resource
    stored_parameters.py   parameters that stand for values of Parameter Store
    changesets.py      the lifecycle of change sets
    resource_types/    each resource type, by AWS's own APIs
    schema.py          what AWS's registry says about a type
    property_checks.py checks a resource's properties by it
    model.py           records and statuses
    stack_events.py    the log of their changes
    notifications.py   publishes events to topics
    rollback_triggers.py  alarms that roll an operation back
    descriptions.py    stacks and resources in the form of the API

From a request to rendered properties, in the order of the calls (all but the first are pure):

    template_source.py     gets the template from the request, the stack or S3
    request_validation.py  checks template, parameters, tags and capabilities
    template.py            parses the template and orders its resources
    template_structure.py  checks the sections of a template and their members
    template_checks.py     checks what can be known before anything is created
    functions.py           checks the arguments of functions
    references.py          checks the names that a template uses
    parameters.py          checks the values of parameters
    parameter_rules.py     checks the section Rules
    evaluation.py          pseudo parameters and outputs of a stack
    intrinsics.py          evaluates functions and conditions
    stack_policies.py      decides which updates a stack policy allows
    exports.py             exports and imports between stacks
    changes.py             the list of changes of a change set
"""
