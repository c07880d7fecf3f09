"""Which record stands in which part: a pure function of the records' inputs, the seed and the counts asked for.

A record's place depends on its input alone, so one question with two answers never stands on both sides; records of
one group stay together. Nothing depends on the order of a file, which is often sorted by class.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from burnish.errors import DataError
from burnish.types import Example


def input_key(example: Example) -> str:
    """What an item asks, as a key: the turns before the answer (a raw document: its text), runs of blanks as one."""
    turns = example.messages if example.messages[0].role == "text" else example.request
    return "\x1e".join(f"{turn.role}\x1f{' '.join(turn.content.split())}" for turn in turns)


def auto_held_out(records: int) -> int:
    """A fifth, at least 60 where there are 240 records, at most 500."""
    return min(max(records // 5, 60 if records >= 240 else 1), 500)


def auto_validation(records: int) -> int:
    """A tenth of what is left for training, at least 20 (a fifth under 100 records), at most 200."""
    return max(records // 5, 1) if records < 100 else min(max(records // 10, 20), 200)


def asked_for(part: int | float | str, records: int, auto: int, name: str) -> int:
    """How many records a setting asks for: "auto", a count or a share. Raises DataError where none would be left."""
    wanted = auto if isinstance(part, str) else part if isinstance(part, int) else max(round(part * records), 1)
    if wanted >= records:
        raise DataError(
            f"data.{name} asks for {wanted} of {records} record{'s' * (records != 1)}, which leaves none to train on; "
            "ask for fewer or give more data"
        )
    return wanted


def cut(
    examples: Sequence[Example], wanted: int, seed: int, name: str
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(left, taken): whole units (an input, or a group) in the order of their hash, close to `wanted` records.

    Raises DataError where the records form a single unit.
    """
    units: dict[str, list[int]] = defaultdict(list)
    for at, example in enumerate(examples):
        unit = f"group\x1f{example.group}" if example.group else f"input\x1f{input_key(example)}"
        units[unit].append(at)
    if len(units) < 2:
        what = "belong to one group" if examples and examples[0].group else "have the same input"
        raise DataError(f"all {len(examples)} records {what}, so none can be kept apart for {name}; give a file for it")
    order = sorted(units, key=lambda unit: hash_of(seed, name, unit))
    taken: set[int] = set()
    for unit in order:
        if len(taken) + len(units[unit]) <= wanted:
            taken.update(units[unit])
    if not taken:  # every unit is larger than what is wanted
        taken.update(sorted(units.values(), key=len)[0])
    left = tuple(example for at, example in enumerate(examples) if at not in taken)
    return left, tuple(example for at, example in enumerate(examples) if at in taken)


def draw(examples: tuple[Example, ...], limit: int | None, seed: int) -> tuple[Example, ...]:
    """At most `limit` examples, drawn by hash, in the order of the file."""
    if limit is None or len(examples) <= limit:
        return examples
    order = sorted(range(len(examples)), key=lambda at: hash_of(seed, "limit", input_key(examples[at]), str(at)))
    return tuple(examples[at] for at in sorted(order[:limit]))


def hash_of(seed: int, *parts: str) -> bytes:
    """sha256 of the seed and texts."""
    return hashlib.sha256("\x1e".join((str(seed), *parts)).encode("utf-8")).digest()
