"""`target_modules` of PEFT's configs: which modules they name, and how ours are named for other readers."""

import re
from collections.abc import Iterable, Mapping

from transformers import PreTrainedModel

from burnish.errors import MethodError
from burnish.models.adapters import original_of
from burnish.models.seams import block_linears, ends_of, is_linear


def named_places(model: PreTrainedModel, config: Mapping[str, object], field: str = "target_modules") -> list[str]:
    """The linear maps, the head and the table that a config names by PEFT's rules, in the model's order.

    A list names whole names or their ends, a text is "all-linear" or a regular expression for whole names. Raises
    `MethodError` where it names nothing.
    """
    linears = list(block_linears(model))
    names = [*linears, *(name for name, _ in ends_of(model).values())]
    wanted = config.get(field)
    found = linears if wanted == "all-linear" else [name for name in names if _is_named(name, wanted)]
    found = [name for name in found if not _is_named(name, config.get("exclude_modules"))]
    indices = config.get("layers_to_transform")
    if indices is not None:
        kept = {indices} if isinstance(indices, int) else set(_texts(indices, "layers_to_transform"))
        found = [name for name in found if _layer_of(name, config.get("layers_pattern")) in kept]
    if not found:
        raise MethodError(
            f"{field} {wanted!r} names no linear map of this {type(model).__name__}, so the adapter is of another base"
        )
    return found


def _is_named(name: str, wanted: object) -> bool:
    if wanted is None:
        return False
    if isinstance(wanted, str):
        return re.fullmatch(wanted, name) is not None
    return any(name == end or name.endswith(f".{end}") for end in _texts(wanted, "target_modules"))


def _texts(value: object, field: str) -> list[object]:
    if not isinstance(value, list | tuple | set):
        raise MethodError(f"{field} is {value!r}; expected a list")
    return list(value)


def _layer_of(name: str, pattern: object) -> int | None:
    """The block's index in a module's name, as PEFT finds it."""
    patterns = [pattern] if isinstance(pattern, str) else list(pattern) if isinstance(pattern, list) else []
    for regex in [rf".*\.{one}\.(\d+)\." for one in patterns] or [r".*\.[^.]*\.(\d+)\."]:
        match = re.match(regex, name)
        if match:
            return int(match[1])
    return None


def module_names(model: PreTrainedModel, places: Iterable[str]) -> list[str]:
    """`q_proj, up_proj, …` where these name exactly the adapted places, as other readers expect, else whole names."""
    wanted = set(places)
    short = {place.rpartition(".")[2] for place in wanted}
    candidates = {name for name, module in model.named_modules() if is_linear(original_of(module)) or name in wanted}
    named = {name for name in candidates if name.rpartition(".")[2] in short}
    return sorted(short if named == wanted else wanted)
