"""The picture of a run whose metric draws: which items it shows, what stands where nothing was drawn."""

import xml.etree.ElementTree as ET
from pathlib import Path

from burnish.files import read_jsonl, write_json, write_jsonl
from burnish.report.answers_picture import answers_svg
from burnish.report.build import build
from burnish.report.picture import arms_svg

HEAD, TAIL = "<|user|>Write it.\n\n", "<|end|>\n<|assistant|>"


def with_answers(run: Path) -> None:
    """Texts of their own for every item; the base writes what nobody can draw."""
    lines: list[dict[str, object]] = []
    for line in read_jsonl(run / "samples.jsonl"):
        number = str(line["item"]).rpartition(":")[2]
        answer = f"<b>{number}</b>" if line["arm"] == "base" else f"{line['arm']} {number}"
        asked = {"asked": f"Write it.\n\nPart no. {number} & co.", "prompt": f"{HEAD}Part no. {number} & co.{TAIL}"}
        lines.append({**line, "answer": answer, "expected": "x", **asked})
    write_jsonl(run / "samples.jsonl", lines)
    arms = ("similar_4", "tuned")
    drawn = {
        f"{arm} {i}": f'<svg viewBox="0 0 9 9" width="9"><title>{arm} {i}</title></svg>'
        for arm in arms
        for i in range(21)
    }
    write_json(run / "pictures.json", drawn)


def test_the_first_item_of_the_most_frequent_outcomes_with_every_arm(run_directory: Path) -> None:
    with_answers(run_directory)
    text = answers_svg(run_directory, build(run_directory))
    ET.fromstring(text)
    # of 20 items 10 are fixed (6 the first), 7 right in both (1), 3 wrong in both (18), none broken
    for number in (6, 1, 18):
        assert f">Part no. {number} &amp; co.<" in text
        assert f"<title>tuned {number}</title>" in text
        assert f"<title>similar_4 {number}</title>" in text
        assert f"&lt;b&gt;{number}&lt;/b&gt;" in text
    assert text.count(">Part no.") == 3
    assert text.count("draws no part") == 3
    assert text.count("✓ right") == 1 + 2
    assert "after tuning: 10" in text
    assert text.count('viewBox="0 0 9 9"') == 6
    assert 'width="9"' not in text


def test_where_nothing_is_drawn_the_arms_stand_alone(run_directory: Path, text_run: Path) -> None:
    for run in (run_directory, text_run):
        report = build(run)
        assert answers_svg(run, report) == arms_svg(report)
