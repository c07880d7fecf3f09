"""Held-out items wear out: how often these very items were opened on this machine, in `$BURNISH_HOME/opened.jsonl`."""

import hashlib
import json
from collections.abc import Sequence

from burnish.data.split import input_key
from burnish.files import append_jsonl, read_jsonl
from burnish.models.cache import home
from burnish.types import Example

FILE = "opened.jsonl"


def items_sha256(items: Sequence[Example]) -> str:
    """Hash of requests and answers, whatever their order."""
    texts = sorted(json.dumps([input_key(item), item.answer], ensure_ascii=False) for item in items)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def opened_before(sha256: str, run: str) -> int:
    """Openings of these items by other runs."""
    path = home() / FILE
    lines = read_jsonl(path) if path.is_file() else []
    return len({str(line["run"]) for line in lines if line["items_sha256"] == sha256} - {run})


def note_opening(sha256: str, count: int, run: str, when: str) -> None:
    """Write an opening down, before the first item is looked at; `run` tells one run from another."""
    home().mkdir(parents=True, exist_ok=True)
    append_jsonl(home() / FILE, [{"items_sha256": sha256, "count": count, "run": run, "when": when}])
