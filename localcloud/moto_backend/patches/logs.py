"""Patches of CloudWatch Logs."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from localcloud.cloudwatch.filter_pattern import FilterPatternError, line_filter

_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def patch() -> None:
    """Apply the patches."""
    _patch_keys()
    _patch_classes()
    _patch_tags()
    _patch_queries()
    _patch_filter()
    _patch_patterns()
    _patch_retention()


def _patch_retention() -> None:
    """PutRetentionPolicy: moto stores any number of days, AWS only those of its list.

    Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    """
    from moto.logs.exceptions import InvalidParameterException
    from moto.logs.responses import LogsResponse

    original = LogsResponse.put_retention_policy

    def put_retention_policy(self: Any) -> Any:
        days = self._get_param("retentionInDays")
        if days not in _RETENTION_DAYS:
            allowed = ", ".join(map(str, _RETENTION_DAYS))
            raise InvalidParameterException(
                msg=f"retentionInDays {days} is not one of {allowed}. To keep events indefinitely, "
                "use DeleteRetentionPolicy."
            )
        return original(self)

    LogsResponse.put_retention_policy = put_retention_policy


def _patch_queries() -> None:
    """StartQuery: moto fails on logGroupIdentifiers and drops the limit and the language.

    Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
    """
    from moto.logs.exceptions import InvalidParameterException
    from moto.logs.responses import LogsResponse

    original = LogsResponse.start_query

    def start_query(self: Any) -> Any:
        groups = ("logGroupName", "logGroupNames", "logGroupIdentifiers")
        given = [member for member in groups if self._get_param(member)]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise InvalidParameterException(
                msg=f"Exactly one of {', '.join(groups)} must be given, not {found}."
            )
        language = self._get_param("queryLanguage") or "CWLI"
        if language != "CWLI":
            raise InvalidParameterException(
                msg=f"queryLanguage {language} is not supported by the local cloud; use CWLI."
            )
        identifiers = self._get_param("logGroupIdentifiers")
        if identifiers:
            names = [_name_of(identifier) for identifier in identifiers]
            query_id = self.logs_backend.start_query(
                names,
                self._get_int_param("startTime"),
                self._get_int_param("endTime"),
                self._get_param("queryString"),
            )
            answer = json.dumps({"queryId": query_id})
        else:
            answer = original(self)
            query_id = json.loads(answer)["queryId"]
        limit = self._get_int_param("limit")
        if limit:
            query = self.logs_backend.queries[query_id]
            query.results = query.results[:limit]
        return answer

    LogsResponse.start_query = start_query


def _name_of(identifier: str) -> str:
    """Return the name of a log group from its name or its ARN."""
    return identifier.partition(":log-group:")[2].removesuffix(":*") or identifier


def _patch_filter() -> None:
    """FilterLogEvents: moto drops logStreamNamePrefix and logGroupIdentifier, and returns all.

    Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    from moto.logs.exceptions import InvalidParameterException
    from moto.logs.responses import LogsResponse

    original = LogsResponse.filter_log_events

    def filter_log_events(self: Any) -> Any:
        request = json.loads(self.body)
        group, identifier = request.get("logGroupName"), request.get("logGroupIdentifier")
        if bool(group) == bool(identifier):
            raise InvalidParameterException(
                msg="Exactly one of logGroupName and logGroupIdentifier must be given."
            )
        request["logGroupName"] = group = group or _name_of(identifier)
        prefix = request.get("logStreamNamePrefix")
        if prefix:
            if request.get("logStreamNames"):
                raise InvalidParameterException(
                    msg="logStreamNames and logStreamNamePrefix cannot both be given."
                )
            found = self.logs_backend.groups.get(group)
            streams = [] if found is None else [n for n in found.streams if n.startswith(prefix)]
            if found is not None and not streams:
                return json.dumps({"events": [], "searchedLogStreams": []})
            request["logStreamNames"] = streams
        self.body = json.dumps(request)
        return original(self)

    LogsResponse.filter_log_events = filter_log_events


def _patch_patterns() -> None:
    """FilterLogEvents: moto knows one quoted or some plain terms; any other pattern selects all.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
    """
    from moto.logs import models
    from moto.logs.exceptions import InvalidParameterException

    class EventMessageFilter:
        """A pattern, in place of moto's."""

        def __init__(self, pattern: str | None) -> None:
            try:
                self.matches = _line_filter(pattern or "")
            except FilterPatternError as error:
                raise InvalidParameterException(msg=str(error)) from None

    models.EventMessageFilter = EventMessageFilter


# moto makes a filter for each line.
_line_filter = lru_cache(maxsize=64)(line_filter)


def _patch_keys() -> None:
    """AssociateKmsKey and DisassociateKmsKey: moto lacks them, although it stores the key."""
    from moto.core.responses import EmptyResult
    from moto.logs.exceptions import ResourceNotFoundException
    from moto.logs.responses import LogsResponse

    def group(self: Any) -> Any:
        name = self._get_param("logGroupName")
        if not name:
            name = self._get_param("resourceIdentifier").partition(":log-group:")[2]
        found = self.logs_backend.groups.get(name.removesuffix(":*"))
        if found is None:
            raise ResourceNotFoundException
        return found

    def associate_kms_key(self: Any) -> Any:
        group(self).kms_key_id = self._get_param("kmsKeyId")
        return EmptyResult()

    def disassociate_kms_key(self: Any) -> Any:
        group(self).kms_key_id = None
        return EmptyResult()

    LogsResponse.associate_kms_key = associate_kms_key
    LogsResponse.disassociate_kms_key = disassociate_kms_key


def _patch_classes() -> None:
    """CreateLogGroup: moto drops the class of the group, which AWS always returns."""
    from moto.logs.models import LogGroup
    from moto.logs.responses import LogsResponse

    create, describe = LogsResponse.create_log_group, LogGroup.to_describe_dict

    def create_log_group(self: Any) -> Any:
        answer = create(self)
        group = self.logs_backend.groups[self._get_param("logGroupName")]
        group.log_group_class = self._get_param("logGroupClass") or "STANDARD"
        return answer

    def to_describe_dict(self: Any) -> dict[str, Any]:
        return {**describe(self), "logGroupClass": getattr(self, "log_group_class", "STANDARD")}

    LogsResponse.create_log_group = create_log_group
    LogGroup.to_describe_dict = to_describe_dict


def _patch_tags() -> None:
    """TagResource and UntagResource: moto keeps the tags of a group that does not exist."""
    from moto.logs.exceptions import ResourceNotFoundException
    from moto.logs.responses import LogsResponse

    def checked(original: Any) -> Any:
        def change(self: Any) -> Any:
            name = self._get_param("resourceArn").partition(":log-group:")[2].removesuffix(":*")
            if name and name not in self.logs_backend.groups:
                raise ResourceNotFoundException
            return original(self)

        return change

    LogsResponse.tag_resource = checked(LogsResponse.tag_resource)
    LogsResponse.untag_resource = checked(LogsResponse.untag_resource)
