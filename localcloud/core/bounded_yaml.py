"""YAML documents of bounded depth and size, for text that a request brings.

A few hundred bytes of nested aliases can stand for gigabytes, and thousands of brackets exhaust the
stack. Both are refused while the document is composed, before any value is made.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.events import AliasEvent

# AWS's own formats are at most some twenty levels deep.
DEEPEST = 100
# The number of nodes and characters that a document may have once its aliases are expanded.
LARGEST = 2_000_000

# The parser in C takes a tenth of the time; it is not in every build of PyYAML.
_SAFE_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """A text that is not YAML, or that is nested too deeply or too large.

    Attributes:
        place: the line and the column where the text is wrong, counted from 1, if that is known.
    """

    def __init__(self, message: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.place = place


def check_events(text: str, *, aliases: bool) -> None:
    """Refuse a text that is not YAML, that is too deep, or that has aliases if it may not.

    Raises:
        YamlError: names the problem.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_SAFE_LOADER):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEEPEST:
                    raise YamlError(f"it is nested more than {DEEPEST} levels deep")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, AliasEvent) and not aliases:
                raise YamlError("YAML aliases are not allowed")
    except yaml.YAMLError as error:
        raise YamlError(str(error), _place(error, text)) from None


def _place(error: Exception, text: str) -> tuple[int, int] | None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return None
    lines = text.split("\n")
    # The parser in C counts one line more at the end of a text.
    if mark.line >= len(lines):
        return len(lines), len(lines[-1]) + 1
    return mark.line + 1, mark.column + 1


class BoundedLoader(_SAFE_LOADER):  # type: ignore[misc, valid-type]
    """A safe loader that refuses a document whose aliases expand beyond `LARGEST`."""

    def get_single_node(self) -> Any:
        """Return the document's node.

        Raises:
            YamlError: the document is too large, or holds itself.
        """
        node = super().get_single_node()
        if node is not None:
            _check_size(node)
        return node


def load(text: str, loader: type[BoundedLoader] = BoundedLoader, *, aliases: bool = True) -> Any:
    """Return the value of a YAML document.

    Args:
        text: one document.
        loader: a loader with constructors of its own.
        aliases: whether the document may have aliases.

    Raises:
        YamlError: the text is not YAML, or it is nested too deeply or too large.
    """
    check_events(text, aliases=aliases)
    try:
        return yaml.load(text, loader)  # noqa: S506 - BoundedLoader is a SafeLoader
    except YamlError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise YamlError(str(error), _place(error, text)) from None


def _check_size(root: yaml.Node) -> None:
    """Add up the expanded size of a document, with each node looked at once."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size_of(node: yaml.Node) -> int:
        found = sizes.get(id(node))
        if found is not None:
            return found
        if id(node) in open_nodes:
            raise YamlError("an alias refers to a node that holds it")
        open_nodes.add(id(node))
        total = 1
        if isinstance(node, yaml.ScalarNode):
            total += len(node.value)
        elif isinstance(node, yaml.SequenceNode):
            total += sum(map(size_of, node.value))
        elif isinstance(node, yaml.MappingNode):
            total += sum(size_of(key) + size_of(value) for key, value in node.value)
        open_nodes.discard(id(node))
        if total > LARGEST:
            raise YamlError(f"it has over {LARGEST} characters with its aliases expanded")
        sizes[id(node)] = total
        return total

    size_of(root)
