"""Everything that a run says at its end, written into its directory: report.json, report.md and report.html.

All three are functions of the directory's other files, so `burnish report DIR` writes the same bytes again.
"""

from collections.abc import Sequence
from pathlib import Path

from burnish.files import write_json, write_text
from burnish.proof.metric import LoadedMetric
from burnish.report.build import read, report_of
from burnish.report.markdown import markdown
from burnish.report.material import material
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
