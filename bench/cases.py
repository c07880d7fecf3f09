"""The work of the peers bench: tokenised records in a fixed order, the same for every program that trains on them.

Case a: 64 records of widely varying length (Alpaca); b: 64 CAD records; c: those of a, full fine-tuning; d: 160 trec6
questions under one instruction, in updates of 8. Where BURNISH_DATA lacks a case's records, `stand_in` makes records of
the same kind of lengths from a seed, and the case says so.
"""

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from burnish.models.load import Base
from burnish.types import Example, Message, TokenizedExample

HERE = Path(__file__).resolve().parent
CAD = "Write only an OpenSCAD program for this part."
UPDATE = 8  # records of an update, in every case
CLASSES = "abbreviation, description, entity, human, location or number"
INSTRUCTION = f"Which class does the answer to this question belong to: {CLASSES}?"
# mean and spread of the logarithm of the lengths of prompts and answers in words, as counted in the real records
LENGTHS = {"a": ((2.6, 0.5), (3.6, 1.1)), "d": ((2.2, 0.4), (0.0, 0.0))}


@dataclass(frozen=True)
class Case:
    """Records for one comparison; `rate` is the peak and only learning rate."""

    name: str
    documents: tuple[TokenizedExample, ...]
    full: bool
    rate: float
    source: str

    @property
    def tokens(self) -> int:
        """Tokens of all records, each counted once."""
        return sum(len(document.tokens) for document in self.documents)

    def write(self, path: Path) -> None:
        """What a program in another environment reads."""
        documents = [{"tokens": d.tokens, "trained": d.trained} for d in self.documents]
        value = {"documents": documents, "update": UPDATE, "rate": self.rate, "full": self.full}
        path.write_text(json.dumps(value), encoding="utf-8")


def documents_in(case: dict[str, Any]) -> list[TokenizedExample]:
    """The documents of a case that was written."""
    return [TokenizedExample(str(i), tuple(d["tokens"]), tuple(d["trained"])) for i, d in enumerate(case["documents"])]


def cases(base: Base, names: Sequence[str]) -> list[Case]:
    """The cases, tokenised as a run would."""
    template = ChatTemplate.choose("auto", base.chat_template, base.tokenizer)
    encoder = Encoder(base.tokenizer, template, base.stop_ids)
    found = []
    for name in names:
        pairs, source = _pairs("a" if name == "c" else name)
        examples = [
            Example(f"{name}:{i}", (Message("user", asked), Message("assistant", answer, True)))
            for i, (asked, answer) in enumerate(pairs)
        ]
        documents = [document for example in examples for document in encoder.document(example)]
        found.append(Case(name, tuple(documents), name == "c", 5e-5 if name == "c" else 5e-4, source))
    return found


def _pairs(name: str) -> tuple[list[tuple[str, str]], str]:
    count = 160 if name == "d" else 64
    root = os.environ.get("BURNISH_DATA", "")
    file = {"a": "alpaca_demo/train.jsonl", "b": "recipes/cad/train.jsonl", "d": "trec6/train.jsonl"}[name]
    path = (HERE.parent if name == "b" else Path(root)) / file
    if name != "b" and not (root and path.is_file()):
        return stand_in(name, count), f"made from a seed ({file} is not in BURNISH_DATA)"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if name == "a":
        pairs = [(r["instruction"], r["output"]) for r in records if not r.get("input")]
    elif name == "b":
        pairs = [(f"{CAD}\n\n{r['prompt']}", r["completion"]) for r in records]
    else:
        pairs = [(f"{INSTRUCTION}\n\n{r['question']}", r["label"]) for r in records]
    return pairs[:count], file


def stand_in(name: str, count: int) -> list[tuple[str, str]]:
    """Word salad of the right lengths."""
    source = random.Random(f"peers {name}")
    words = "the a model reads data from each file and then it writes what came out of every row again".split()  # noqa: SIM905

    def text(mean: float, spread: float) -> str:
        return " ".join(source.choice(words) for _ in range(max(1, round(source.lognormvariate(mean, spread)))))

    asked, answered = LENGTHS[name]
    before = f"{INSTRUCTION}\n\n" if name == "d" else ""
    return [(before + text(*asked), text(*answered)) for _ in range(count)]
