"""Writes the CAD assistant's data: `python -m recipes.cad.generate` (from the root of the repository).

One sentence of English becomes one short OpenSCAD program. Seeded, standard library only: the same seed gives the
same bytes. `--out DIR` writes elsewhere.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from recipes.cad import checks, combinations, flat_parts, profile_parts, round_parts, solid
from recipes.cad.parts import Family, Values

SEED = 20
FAMILIES: tuple[Family, ...] = (*flat_parts.FAMILIES, *profile_parts.FAMILIES, *round_parts.FAMILIES)
LONG = ("corner_plate", "flange")  # more tokens than the others, so fewer records
COUNTS = {"train": 400, "validation": 40, "known": 60, "new_wording": 40, "new_combination": 20}
TRIES = 20_000


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a data file."""

    prompt: str
    completion: str
    slice: str
    family: str

    def line(self) -> str:
        """The record as a line of JSON."""
        fields = {"prompt": self.prompt, "completion": self.completion, "slice": self.slice, "family": self.family}
        return json.dumps(fields, ensure_ascii=False) + "\n"


class Writer:
    """Makes records that no earlier one repeats, neither as a sentence nor as a part."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.sentences: set[str] = set()
        self.programs: set[str] = set()

    def values(self, family: Family) -> dict[str, float]:
        """Sizes that are sensible, geometrically sound and new."""
        for _ in range(TRIES):
            values = family.draw(self.random)
            program = family.program(values)
            if family.sensible(values) and program not in self.programs and not checks.faults(solid.read(program)):
                self.programs.add(program)
                return values
        raise SystemExit(f"{family.name}: no part kept the rules in {TRIES} tries")

    def record(self, family: Family, wording: str, part: str) -> Record:
        """One record of one wording; `part` names its slice."""
        for _ in range(TRIES):
            values = self.values(family)
            sentence = family.sentence(wording, values)
            if sentence not in self.sentences:
                self.sentences.add(sentence)
                check_numbers(sentence, values)
                return Record(sentence, family.program(values), part, family.name)
        raise SystemExit(f"{family.name}: every sentence of {wording!r} is taken")

    def records(
        self, families: Sequence[Family], count: int, part: str, wordings: Callable[[Family], tuple[str, ...]]
    ) -> list[Record]:
        """`count` records spread evenly over families, and within a family over its wordings."""
        made: list[Record] = []
        for family, share in zip(families, shares(families, count), strict=True):
            queue: list[str] = []
            for _ in range(share):
                if not queue:
                    queue = self.random.sample(wordings(family), len(wordings(family)))
                made.append(self.record(family, queue.pop(), part))
        self.random.shuffle(made)
        return made


def shares(families: Sequence[Family], count: int) -> list[int]:
    """How many records each family gets: even, but long programs get two thirds where there are many."""
    weights = [2 / 3 if family.name in LONG and count > 100 else 1.0 for family in families]
    exact = [count * weight / sum(weights) for weight in weights]
    given = [int(share) for share in exact]
    by_rest = sorted(range(len(families)), key=lambda i: (given[i] - exact[i], i))
    for i in by_rest[: count - sum(given)]:
        given[i] += 1
    return given


def check_numbers(sentence: str, values: Values) -> None:
    """Every number that the program takes from the sentence stands in it as written there."""
    spoken = re.findall(r"\d+(?:\.\d+)?", re.sub(r"(?<=\d)x(?=\d)", " ", sentence))
    missing = [f"{name} = {value:g}" for name, value in values.items() if f"{value:g}" not in spoken]
    assert not missing, (sentence, missing)


def build(seed: int = SEED) -> dict[str, list[Record]]:
    """All records by the name of their file."""
    check_wordings()
    writer = Writer(seed)
    train = writer.records(FAMILIES, COUNTS["train"], "known", lambda family: family.known)
    validation = writer.records(FAMILIES, COUNTS["validation"], "known", lambda family: family.known)
    validation.sort(key=lambda record: record.family != "plate")  # the demo asks the first: a part that all can picture
    held_out = writer.records(FAMILIES, COUNTS["known"], "known", lambda family: family.known)
    held_out += writer.records(FAMILIES, COUNTS["new_wording"], "new_wording", lambda family: family.fresh)
    held_out += writer.records(
        combinations.FAMILIES, COUNTS["new_combination"], "new_combination", lambda family: family.known
    )
    return {"train": train, "validation": validation, "held_out": held_out}


def check_wordings() -> None:
    """No wording stands twice, in whatever family or list."""
    wordings = [wording for family in (*FAMILIES, *combinations.FAMILIES) for wording in family.known + family.fresh]
    plain = [re.sub(r"[^a-z]+", " ", re.sub(r"\{\w+\}", "", wording.lower())) for wording in wordings]
    twice = {wording for wording in plain if plain.count(wording) > 1}
    assert not twice, twice


def write(folder: Path, parts: dict[str, list[Record]]) -> None:
    """One `.jsonl` for each part."""
    for name, records in parts.items():
        text = "".join(record.line() for record in records)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")


def main(arguments: Iterable[str]) -> None:
    """Parse the command line and write the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(list(arguments))
    options.out.mkdir(parents=True, exist_ok=True)
    parts = build(options.seed)
    write(options.out, parts)
    print(", ".join(f"{name}: {len(records)} records" for name, records in parts.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
