"""What a person sees of a report: closing lines, table, picture."""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from burnish.cli.show import show_report
from burnish.files import read_json
from burnish.report.build import build
from burnish.report.picture import WIDTH, arms_svg
from burnish.report.schema import Report, ScoreRow
from burnish.report.terminal import bar, closing_lines, table
from tests.house.source import ROOT

SVG = "{http://www.w3.org/2000/svg}"


def row(value: float, low: float | None, high: float | None) -> ScoreRow:
    """A row of scores."""
    return ScoreRow(
        arm="tuned", metric="m", slice="all", scoring="generation", value=value, low=low, high=high, count=20
    )


def test_closing_lines_say_everything_within_fifteen(run_directory: Path) -> None:
    report = build(run_directory)
    lines = closing_lines(report, command=".venv/bin/burnish", run=Path("runs/demo"))
    text = "\n".join(lines)
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 80
    assert "kept    not shown: knowledge 45→45/60, requests 30→29/40, spill-over 0→2/40" in lines
    for said in ("85.0 %", "64.0-94.8 %", "17/20", "similar_4 *", "known 12/12 against 5/12", "moved by 2.1 %"):
        assert said in text
    for said in ("5.0 min (training 2.0 min)", "1.9 GB", "19.6 MB", "opened 2 times"):
        assert said in text
    assert f"report  {Path('runs/demo/report.html')}" in lines
    assert "next    .venv/bin/burnish chat runs/demo" in lines
    assert "yours   .venv/bin/burnish init YOUR.csv" in lines


def test_a_run_that_did_not_measure_it_has_no_line_on_what_was_kept(text_run: Path) -> None:
    report = build(text_run)
    lines = closing_lines(report, command="burnish", run=Path("r"))
    assert not [line for line in lines if line.startswith("kept")]
    assert " ".join("\n".join(lines).split()).startswith(report.verdict.sentence)


def test_chat_is_named_whatever_the_verdict(make_run: Callable[[dict[str, set[int]]], Path]) -> None:
    report = build(make_run({"base": set(), "tuned": {1, 2}, "similar_4": {1}}))
    lines = closing_lines(report, command="burnish", run=Path("runs/x"))
    assert report.verdict.kind == "inconclusive"
    assert any("burnish chat runs/x" in line for line in lines)
    assert len(lines) <= 15


@pytest.mark.parametrize("slices", [0, 30])
def test_a_long_sentence_and_many_slices_still_fit(run_directory: Path, slices: int) -> None:
    report = build(run_directory)
    long = " ".join(["It helps a lot, in words that take their time to come to an end."] * 20)
    more = [r.model_copy(update={"slice": f"a_long_name_{i}"}) for i in range(slices) for r in report.task.scores]
    task = report.task.model_copy(update={"scores": (*report.task.scores, *more)})
    verdict = report.verdict.model_copy(update={"sentence": long})
    lines = closing_lines(report.model_copy(update={"verdict": verdict, "task": task}), command="b", run=Path("r"))
    assert len(lines) <= 15
    assert lines[0].startswith("It helps a lot")
    assert any("(More in report.html.)" in line for line in lines)


def test_what_was_lost_is_never_cut_off_the_sentence() -> None:
    report = Report.model_validate(read_json(ROOT / "bench" / "results" / "cad.json"))
    assert report.retention is not None
    assert report.retention.kept == "lost"
    lines = closing_lines(report, command=".venv/bin/burnish", run=Path("runs/demo"))
    assert len(lines) <= 15
    said = " ".join(lines[: next(i for i, line in enumerate(lines) if line.startswith("base"))])
    assert said.startswith(report.verdict.sentence.partition(";")[0])
    assert "; general answers were lost." in said


def test_bars_show_value_and_interval() -> None:
    assert bar(row(0.5, 0.25, 0.75), (0, 1), True, 8) == "██▓▓░░··"
    assert bar(row(0.0, 0.0, 0.25), (0, 1), True, 8) == "░░······"
    assert bar(row(1.0, 0.75, 1.0), (0, 1), True, 8) == "██████▓▓"
    assert bar(row(2.5, 2.0, 3.0), (0, 4), False, 8) == "····─●─·"
    assert bar(row(2.5, None, None), (0, 4), False, 8) == "─────●──"


def test_losses_are_no_percentages(text_run: Path) -> None:
    text = "\n".join(closing_lines(build(text_run), command="burnish", run=Path("r")))
    assert "3.237  [3.168 to 3.307]  n 20" in text
    assert "323" not in text


def test_the_table_holds_every_arm_and_fits_eighty_columns(run_directory: Path) -> None:
    report = build(run_directory)
    console = Console(width=80, file=StringIO(), record=True)
    console.print(table(report))
    text = console.export_text()
    assert "…" not in text
    for arm in ("base", "few_shot_4", "similar_4 *", "simple", "tuned"):
        assert len(re.findall(rf"\n{re.escape(arm)} .*\d", text)) == 3, arm  # all items, and two slices
    assert re.search(r"similar_4 \*\s+generation\s+35\.0\s+18\.1-56\.7\s+7/20\s+\+50\.0", text)


def texts(svg: str) -> list[ElementTree.Element]:
    """The text elements of a picture."""
    return list(ElementTree.fromstring(svg).iter(f"{SVG}text"))


def test_the_picture_holds_each_arm_as_text_and_stays_inside(run_directory: Path) -> None:
    report = build(run_directory)
    svg = arms_svg(report)
    assert svg == arms_svg(report)
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    words = [element.text for element in texts(svg)]
    for said in ("base model", "prompt: 4 similar examples", "fine-tuned", "no language model", "17/20", "85.0 %"):
        assert said in words
    assert "known (12 items)" in words
    sentence = ElementTree.fromstring(svg).find(f"{SVG}title")
    assert sentence is not None
    assert sentence.text == report.verdict.sentence
    for element in root.iter(f"{SVG}circle"):
        assert 0 < float(element.get("cx", "")) < WIDTH
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")  # nothing is fetched


def dots(report: Report) -> list[float]:
    """Places of the dots, top to bottom."""
    root = ElementTree.fromstring(arms_svg(report))
    return [float(element.get("cx", "")) for element in root.iter(f"{SVG}circle")]


def test_dots_stand_where_the_values_are(run_directory: Path, text_run: Path) -> None:
    base, few, similar, simple, tuned = dots(build(run_directory))[:5]
    assert few == simple
    assert (similar - base) / (tuned - base) == pytest.approx(0.35 / 0.85, rel=1e-3)
    before, after = dots(build(text_run))
    assert after < before  # a lower loss stands left; the axis says that lower is better


def test_hostile_names_stay_text(run_directory: Path) -> None:
    report = build(run_directory)
    scores = tuple(r.model_copy(update={"slice": "<b>&\"'"}) if r.slice == "new" else r for r in report.task.scores)
    svg = arms_svg(report.model_copy(update={"task": report.task.model_copy(update={"scores": scores})}))
    assert "<b>&\"' (8 items)" in [element.text for element in texts(svg)]


def test_the_command_writes_all_forms_and_says_where_they_are(
    run_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_report(run_directory, "burnish")
    said = capsys.readouterr().out.replace("\n", "")  # rich wraps what is wider than the terminal
    for name in ("report.html", "report.md", "report.json"):
        assert (run_directory / name).is_file()
    assert f"report  {run_directory / 'report.html'}" in said
    assert f"as text {run_directory / 'report.md'}" in said
