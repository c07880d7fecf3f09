"""Everything that a run says at its end, written into its directory: report.json, report.md and report.html.

All three are functions of the directory's other files, so `burnish report DIR` writes the same bytes again.
"""

from collections.abc import Sequence
from pathlib import Path

from burnish.errors import RunError
from burnish.files import write_json, write_text
from burnish.proof.metric import LoadedMetric
from burnish.report import comparison
from burnish.report.build import read, report_of
from burnish.report.comparison import Comparison, compare, markdown_of
from burnish.report.markdown import markdown
from burnish.report.material import material
from burnish.report.page.comparison import comparison_page
from burnish.report.page.page import page
from burnish.report.schema import Report

JSON, MARKDOWN, HTML = "report.json", "report.md", "report.html"


def publish(run: Path, metrics: Sequence[LoadedMetric] = ()) -> Report:
    """Compute the report and write its three forms; raises RunError where the run did not get far enough.

    `metrics`: a user's metrics that compute their number from all items together; see `burnish.report.measured`.
    """
    kept = read(run)
    report = report_of(kept, metrics)
    shown = material(kept, report)
    write_json(run / JSON, report.to_json())
    write_text(run / MARKDOWN, markdown(shown))
    write_text(run / HTML, page(shown))
    return report


def publish_comparison(path: Path, names: Sequence[str], metrics: Sequence[LoadedMetric] = ()) -> Comparison:
    """Compute the comparison from the finished runs and write its forms; raises `RunError` where these are not two.

    `metrics`: a user's metrics that compute their number from all items together; see `burnish.report.measured`.
    """
    finished = [name for name in names if (path / name / "report.json").is_file()]
    if len(finished) < 2:
        raise RunError(f"{path}: fewer than two of its methods are finished; go on with `burnish resume {path}`")
    kept = {name: read(path / name) for name in finished}
    left_out = [name for name in names if name not in finished]
    found = compare({name: (run, report_of(run, metrics)) for name, run in kept.items()}, left_out, metrics)
    write_json(path / comparison.JSON, found.to_json())
    write_text(path / comparison.MARKDOWN, "\n".join(markdown_of(found)) + "\n")
    write_text(path / comparison.HTML, comparison_page(found, path))
    return found
