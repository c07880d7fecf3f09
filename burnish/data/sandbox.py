"""A bounded Jinja environment for chat templates, which are code from strangers.

The language is the one transformers gives to chat templates (its `generation` tag, loop controls, `tojson`,
`raise_exception`, `strftime_now`). Added are bounds that do not depend on a clock: every pass of a loop and every
joining of texts is counted, and no text may grow beyond a size. The date is a constant, so that what a template writes
is the same in training, in resuming and in generating.
"""

import datetime
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jinja2
import jinja2.exceptions
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox
import jinja2.utils

from burnish.data.skeleton import is_simple

LONGEST = 20 << 20  # characters of any text in a template
PASSES = 200_000  # loop passes and joins of one rendering
CALL = 10  # what a call counts, in loop passes
_WIDE = re.compile(r"\{[^{}]*[0-9]{6}|%[^%a-zA-Z]*[0-9]{6}")
DATE = datetime.datetime(2024, 7, 26)  # the date that Llama 3's own template falls back to


class TemplateTooLargeError(jinja2.TemplateError):
    """A template that would take too much time or memory."""


class _Meter:
    """Passes left in the rendering at hand."""

    def __init__(self) -> None:
        self.left = PASSES

    def tick(self, cost: int = 1) -> None:
        """Spend passes; raises where none are left."""
        self.left -= cost
        if self.left < 0:
            raise TemplateTooLargeError(f"runs through more than {PASSES:,} loop passes")

    def loop(self, items: Any) -> Any:
        """The items of a loop, counted; anything but a text, list or the like is handed on to Jinja as it is."""
        if not isinstance(items, Iterable):
            return items
        if isinstance(items, list | tuple | str | Mapping):
            self.left -= len(items)
            if self.left < 0:
                raise TemplateTooLargeError(f"runs through more than {PASSES:,} loop passes")
            return items
        return self._counted(items)

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.tick()
            yield item

    def join(self, *parts: Any) -> str:
        """`a ~ b`, counted and bounded."""
        self.tick()
        return concatenated(part if isinstance(part, str) else str(part) for part in parts)


def concatenated(parts: Iterable[str]) -> str:
    """The parts as one text, given up as soon as it is too long: whole renderings and blocks end here."""
    kept, length = [], 0
    for part in parts:
        length += len(part)
        if length > LONGEST:
            raise TemplateTooLargeError(f"builds a text or list longer than {LONGEST:,}")
        kept.append(part)
    return "".join(kept)


def bounded(value: Any) -> Any:
    """The value itself; raises where it is a text or list beyond the size that is allowed."""
    if isinstance(value, str | list | tuple) and len(value) > LONGEST:
        raise TemplateTooLargeError(f"builds a text or list longer than {LONGEST:,}")
    return value


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose numbers cannot be large and whose result cannot be either."""

    @functools.wraps(function)
    def guarded(*arguments: Any, **named: Any) -> Any:
        _guard_arguments(arguments, named)
        return bounded(function(*arguments, **named))

    return guarded


def _guard_arguments(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    values = (*arguments, *named.values())
    if any(type(value) is int and abs(value) > PASSES for value in values):
        raise TemplateTooLargeError("uses a number too large for a text's width or count")
    texts = [len(value) for value in values if isinstance(value, str)]
    if len(texts) > 2 and texts[0] * max(texts[1:]) > LONGEST * 64:  # replace and the like
        raise TemplateTooLargeError("replaces too much text at once")


class _Generation(jinja2.ext.Extension):
    """The `generation` tag of transformers: its body is rendered, the marks are not needed here."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: "jinja2.parser.Parser") -> list[jinja2.nodes.Node]:
        """The statements between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(jinja2.utils.Namespace):
    """A namespace that refuses names with an underscore in front, as transformers' does."""

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f'a template cannot store "{name}"')
        super().__setitem__(name, value)


class ChatEnvironment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """The environment of one template; `render` may be called any number of times."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])
    concat = staticmethod(concatenated)

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols])
        self.meter = _Meter()
        self.simple = False  # whether the template compiled last only puts contents between fixed texts
        self.filters = {name: _guarded(function) for name, function in self.filters.items()}
        self.filters["tojson"] = _to_json
        self.filters["format"] = _format
        self.globals.update(
            raise_exception=_raise,
            strftime_now=DATE.strftime,
            dict=_new_dict,
            namespace=_Namespace,
            _loop=self.meter.loop,
            _join=self.meter.join,
        )

    def compiled(self, source: str) -> jinja2.Template:
        """The template with its loops and joins counted. Raises jinja2.TemplateSyntaxError."""
        tree = self.parse(source)
        self.simple = is_simple(tree)
        for loop in list(tree.find_all(jinja2.nodes.For)):
            loop.iter = _called("_loop", [loop.iter])
        _count_joins(tree)
        return self.from_string(tree)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An operator that can build large values, checked before and after."""
        self.meter.tick()
        if operator == "+":
            return bounded(left + right)
        if operator == "*" and not _numbers(left, right):
            sizes = [len(value) if isinstance(value, str | list | tuple) else value for value in (left, right)]
            if all(isinstance(size, int) for size in sizes) and sizes[0] * sizes[1] > LONGEST:
                raise TemplateTooLargeError(f"builds a text or list longer than {LONGEST:,}")
        elif operator in ("*", "**") and (abs(left) > 1e9 or abs(right) > 1e4 * (1e5 if operator == "*" else 1)):
            raise TemplateTooLargeError("calculates with numbers that are too large")
        elif operator == "%" and isinstance(left, str):
            raise TemplateTooLargeError('formats text with "%", which is not bounded; use "~"')
        return bounded(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format` as the sandbox hands it out, unless the text asks for a great width."""
        formatter = super().wrap_str_format(value)
        if formatter is not None and _WIDE.search(value.__self__):
            raise TemplateTooLargeError("formats a number or text too wide")
        return formatter

    def call(__self, __context: Any, __function: Any, *arguments: Any, **named: Any) -> Any:  # noqa: N805
        """A call of a function or method with bounded arguments and result."""
        if __function is not __self.globals["_loop"] and __function is not __self.globals["_join"]:
            __self.meter.tick(CALL)
            _guard_arguments(arguments, named)
            text = getattr(__function, "__self__", None)
            if isinstance(text, str):
                _guard_arguments((text, *arguments), named)
        return bounded(super().call(__context, __function, *arguments, **named))


def _numbers(left: Any, right: Any) -> bool:
    return isinstance(left, int | float) and isinstance(right, int | float)


def _called(name: str, arguments: list[Any]) -> jinja2.nodes.Call:
    return jinja2.nodes.Call(jinja2.nodes.Name(name, "load"), arguments, [], None, None)


def _count_joins(node: jinja2.nodes.Node) -> None:
    """Replace every `a ~ b` under a node by a call that is counted."""
    for name, value in list(node.iter_fields()):
        if isinstance(value, jinja2.nodes.Node):
            _count_joins(value)
            if isinstance(value, jinja2.nodes.Concat):
                setattr(node, name, _called("_join", value.nodes))
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, jinja2.nodes.Node):
                    _count_joins(item)
            setattr(
                node,
                name,
                [_called("_join", item.nodes) if isinstance(item, jinja2.nodes.Concat) else item for item in value],
            )


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    if isinstance(indent, int) and indent > 64:
        raise TemplateTooLargeError("indents JSON by more than 64")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _format(value: Any, *arguments: Any) -> str:
    """The `format` filter, for plain widths."""
    _guard_arguments(arguments, {})
    if _WIDE.search(str(value)):
        raise TemplateTooLargeError("formats a number or text too wide")
    return str(value) % arguments


def _raise(message: object) -> None:
    raise jinja2.TemplateError(str(message))


def _new_dict(*arguments: Any, **named: Any) -> dict[Any, Any]:
    return dict(*arguments, **named)
