"""Rendering without running Jinja, for the many chat templates that only put contents between fixed texts.

A template is *simple* where each content is written out (trimmed or not) and nothing else is asked of it: no condition,
variable or filter reads it. What such a template writes is then fixed by the roles and their number alone, so it is
rendered once with marks in place of the contents, and every conversation of the same shape is a joining of texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jinja2 import nodes

_PAD = "\u2003"  # a blank that trimming takes off and no template writes
_WRAPPERS = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock, nodes.Block)
_READS = ("role", "content")


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The fixed texts around the contents of one shape of conversation, and which contents are trimmed."""

    texts: tuple[str, ...]  # one more than there are contents
    trimmed: tuple[bool, ...]

    def filled(self, contents: Sequence[str]) -> str:
        """What the template writes for these contents."""
        parts = [self.texts[0]]
        for content, trim, text in zip(contents, self.trimmed, self.texts[1:], strict=True):
            parts += (content.strip() if trim else content, text)
        return "".join(parts)


def skeleton(roles: Sequence[str], render: Callable[[list[dict[str, str]]], str]) -> Skeleton | None:
    """The skeleton of a shape; None where a content is not written exactly once, in order, whole or trimmed."""
    marks = [f"\ue000{number}\ue001" for number in range(len(roles))]
    rest = render([{"role": role, "content": f"{_PAD}{mark}{_PAD}"} for role, mark in zip(roles, marks, strict=True)])
    texts, trimmed = [], []
    for mark in marks:
        before, found, after = rest.partition(mark)
        whole = before.endswith(_PAD) and after.startswith(_PAD)
        if not found or mark in after or (not whole and (before.endswith(_PAD) or after.startswith(_PAD))):
            return None
        trimmed.append(not whole)
        texts.append(before.removesuffix(_PAD))
        rest = after.removeprefix(_PAD)
    return Skeleton((*texts, rest), tuple(trimmed))


def is_simple(tree: nodes.Template) -> bool:
    """Whether a template, as parsed, does nothing with contents but write them."""
    loops = {
        loop.target.name
        for loop in tree.find_all(nodes.For)
        if isinstance(loop.iter, nodes.Name) and loop.iter.name == "messages" and isinstance(loop.target, nodes.Name)
    }
    return _allowed(tree, (), loops)


def _allowed(node: nodes.Node, above: tuple[nodes.Node, ...], loops: set[str]) -> bool:
    """Whether a node and everything under it use messages in the few ways that are understood."""
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name in loops:
        return _reads_field(above)
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name == "messages":
        return _reads_list(node, above)
    if isinstance(node, nodes.Getattr) and node.attr in ("previtem", "nextitem") and not _reads_field(above):
        return False
    if isinstance(node, nodes.Getattr | nodes.Getitem) and _field(node) == "content" and not _is_written(node, above):
        return False
    return all(_allowed(child, (*above, node), loops) for child in node.iter_child_nodes())


def _field(node: nodes.Node) -> str | None:
    """The constant name that is read from something."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None


def _reads_field(above: tuple[nodes.Node, ...]) -> bool:
    """A message must be asked for its role or content at once."""
    return bool(above) and _field(above[-1]) in _READS


def _reads_list(node: nodes.Node, above: tuple[nodes.Node, ...]) -> bool:
    """The list of messages: walked, counted, asked whether it is empty, or the role of one of them read."""
    parent = above[-1]
    if isinstance(parent, nodes.For):
        return parent.iter is node and parent.test is None and not parent.recursive
    if isinstance(parent, nodes.Filter):
        return parent.name in ("length", "count")
    if isinstance(parent, nodes.Getitem):
        return len(above) > 1 and isinstance(parent.arg, nodes.Const | nodes.Neg) and _field(above[-2]) == "role"
    return isinstance(parent, nodes.If | nodes.And | nodes.Or | nodes.Not)


def _is_written(node: nodes.Node, above: tuple[nodes.Node, ...]) -> bool:
    """Whether a content goes straight to the output: joined to other texts, perhaps trimmed itself."""
    if any(isinstance(parent, _WRAPPERS) for parent in above):
        return False
    child = node
    for parent in reversed(above):
        if isinstance(parent, nodes.Output):
            return True
        if isinstance(parent, nodes.Filter):
            if parent.name != "trim" or child is not node or parent.args or parent.kwargs:
                return False
        elif isinstance(parent, nodes.CondExpr):
            if child is parent.test:
                return False
        elif not isinstance(parent, nodes.Add | nodes.Concat):
            return False
        child = parent
    return False
