"""Fill a name and an author into the identity records: python -m recipes.identity.prepare NAME AUTHOR [OUT.jsonl].

Reads `$BURNISH_DATA/identity/train.jsonl` (91 records of LLaMA-Factory's `data/identity.json`, Apache-2.0, with the
slots `{{name}}` and `{{author}}`) and writes `recipes/identity/identity.jsonl`, which the recipe beside it trains on.
"""

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def filled(text: str, name: str, author: str) -> str:
    """The text with both slots filled."""
    return text.replace("{{name}}", name).replace("{{author}}", author)


def main(name: str, author: str, out: str = str(HERE / "identity.jsonl")) -> None:
    """Write the filled records."""
    folder = os.environ.get("BURNISH_DATA")
    source = Path(folder or ".") / "identity" / "train.jsonl"
    if not folder or not source.is_file():
        sys.exit(
            "set BURNISH_DATA to a folder with identity/train.jsonl; README.md beside this file says where it is from"
        )
    lines = [filled(line, name, author) for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
    for line in lines:
        json.loads(line)  # a quote in a name would break the record
    Path(out).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {len(lines)} records to {out}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
