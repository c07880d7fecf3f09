"""Where text and geometry disagree in a run: python -m recipes.cad.compare RUN [PART]; PART is held_out or validation.

Listed are answers that are the reference word for word and fail as solids (there should be none), and answers that are
written otherwise and draw the same part; first how often each arm did so, and how often it wrote what is not read.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from burnish.files import read_jsonl
from burnish.proof.summary import latest

Line = Mapping[str, Any]
NAMES = {True: "same text, other solid", False: "same solid, other text"}


def disagreements(lines: Iterable[Line]) -> list[Line]:
    """Lines whose answer equals the reference in one way alone."""
    return [line for line in lines if bool(line["score"]) != bool(_detail(line).get("text_equal"))]


def report(lines: list[Line]) -> Iterator[str]:
    """The counts of each arm, then every case."""
    for arm in dict.fromkeys(str(line["arm"]) for line in lines):
        own = [line for line in lines if line["arm"] == arm]
        cases = [bool(_detail(line).get("text_equal")) for line in disagreements(own)]
        unread = sum(bool(_detail(line).get("unsupported")) for line in own)
        counts = ", ".join(f"{cases.count(kind)} {name}" for kind, name in NAMES.items())
        yield f"{arm}: {len(own)} answers; {counts}; {unread} not read here"
    for line in disagreements(lines):
        detail = _detail(line)
        yield f"\n--- {line['arm']} {line['item']}: {NAMES[bool(detail.get('text_equal'))]}, iou {detail.get('iou')}"
        yield f"[answer]\n{line['answer']}\n[expected]\n{line['expected']}"


def _detail(line: Line) -> Mapping[str, Any]:
    found: Mapping[str, Any] = line.get("details", {}).get("solid_equal", {})
    return found


def main(run: str, part: str = "held_out") -> None:
    """Print the report of a run directory."""
    path = Path(run) / "samples.jsonl"
    if not path.is_file():
        sys.exit(f"{path}: no such file; expected the directory of a run of recipes/cad")
    lines = [line for line in latest(read_jsonl(path)) if line["part"] == part]
    if not lines:
        sys.exit(f"{path}: no items of the part {part!r}; parts are held_out and validation")
    print("\n".join(report(list(lines))))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
