"""Draw docs/picture.svg from a run directory: python -m scripts.picture [RUN] [SVG]; nothing is drawn by hand."""

import sys
from pathlib import Path

from burnish.files import read_json, write_text
from burnish.report.answers_picture import answers_svg
from burnish.report.schema import Report


def main(run: str = "runs/demo", out: str = "docs/picture.svg") -> None:
    """Read the run, write the picture."""
    report = Report.model_validate(read_json(Path(run) / "report.json"))
    write_text(Path(out), answers_svg(Path(run), report))
    print(f"wrote {out}: {report.verdict.sentence}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
