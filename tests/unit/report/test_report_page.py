"""report.html and report.md of run directories written by hand."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.errors import RunError
from burnish.report.build import read, report_of
from burnish.report.markdown import markdown
from burnish.report.material import Material, material
from burnish.report.page.items import EXAMPLES, SAMPLES
from burnish.report.page.page import CONTENTS, page
from burnish.report.publish import publish
from burnish.report.schema import Probe, RetentionPart
from tests.unit.report.html import Parsed
from tests.unit.report.test_report_markup import HOSTILE

Lines = list[dict[str, Any]]
PIECES = [["special", "<|im_start|>"], ["left_out", "..."], ["trained", "answer"], ["trained special", "<|im_end|>"]]
MASKS: Lines = [{"id": "train.jsonl:4", "tokens": 4, "trained": 2, "pieces": PIECES}]


def shown(run: Path) -> Material:
    """What the forms are written from."""
    kept = read(run)
    return material(kept, report_of(kept))


def change_lines(run: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    """Replace each line of samples.jsonl, or leave it out."""
    path = run / "samples.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    new = [line for line in map(change, lines) if line is not None]
    path.write_text("".join(json.dumps(line) + "\n" for line in new), encoding="utf-8")


def text_of(part: str, name: str) -> str:
    """The words of one section of a page."""
    found = re.search(rf'<section id="{name}">.*?</section>', part, re.DOTALL)
    assert found is not None, name
    return Parsed(found[0]).text


def test_the_same_bytes_each_time_from_wherever_it_lies(run_directory: Path, tmp_path: Path) -> None:
    publish(run_directory)
    shutil.copytree(run_directory, tmp_path / "copy")
    for name in ("report.html", "report.md", "report.json"):
        (tmp_path / "copy" / name).unlink()
    publish(tmp_path / "copy")
    for name in ("report.html", "report.md", "report.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (run_directory / name).read_bytes(), name


def test_the_page_is_whole_and_asks_for_nothing(run_directory: Path) -> None:
    html = page(shown(run_directory))
    parsed = Parsed(html)
    assert html.startswith("<!DOCTYPE html>\n<html lang=")
    policy = str(parsed.of("meta")[1]["content"])
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    names = {name for name, _ in parsed.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base", "use", "video", "audio"}
    for name, attributes in parsed.elements:
        for key, value in attributes.items():
            assert not key.startswith("on"), (name, key)
            if key in ("src", "href", "srcset", "xlink:href", "action", "data", "poster", "background"):
                assert str(value).startswith(("#", "data:image/svg+xml;base64,")), (name, key, value)
            assert key != "style" or "url" not in str(value)
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)
    assert [a["href"] for a in parsed.of("a")] == [f"#{s['id']}" for s in parsed.of("section")]
    assert [s["id"] for s in parsed.of("section")] == [name for name, _ in CONTENTS]


def test_the_verdict_and_its_command_stand_on_top(run_directory: Path) -> None:
    found = shown(run_directory)
    text = Parsed(page(found)).text
    top = text[: text.index("Arms")]
    for said in ("Fine-tuning helps", "burnish chat runs/demo", "85.0 %", "35.0 %", "64.0-94.8 % · 17/20", "5.0 min"):
        assert said in top
    first, *rest = found.report.verdict.sentence.split(". ")
    assert f"{first}." in top
    assert all(sentence in top for sentence in rest)


def test_every_arm_slice_and_difference_has_its_numbers(run_directory: Path) -> None:
    text = text_of(page(shown(run_directory)), "arms")
    for said in ("base model", "prompt: 4 similar examples", "no language model", "64.0-94.8 %", "17/20", "+50.0"):
        assert said in text
    for slice_ in ("known12 items", "new8 items", "5/8", "0.002"):
        assert slice_ in text


def test_what_training_changed_is_counted_and_shown(run_directory: Path) -> None:
    found = shown(run_directory)
    assert {outcome: len(cases) for outcome, cases in found.outcomes().items()} == {
        "fixed": 10,
        "broken": 0,
        "right": 7,
        "wrong": 3,
    }
    text = text_of(page(found), "changed")
    assert f"fixed: 10 the best prompt had them wrong, tuned has them right; {EXAMPLES} are shown" in text
    assert "broken: " not in text
    assert found.cases[4].asked == "question 4"  # the instruction that all share is shown once


def test_the_worst_answers_come_first(run_directory: Path) -> None:
    change_lines(run_directory, lambda x: {**x, "score": 0.0} if (x["arm"], x["item"][-3:]) == ("tuned", "l:1") else x)
    found = shown(run_directory)
    assert [case.item for case in found.worst_first()][:4] == [f"held_out.jsonl:{n}" for n in (1, 18, 19, 20)]
    assert found.outcome(found.cases[0]) == "broken"
    text = text_of(page(found), "samples")
    assert "All 20 held-out items, wrong answers of the tuned model first. Every one stands in samples.jsonl" in text
    assert text.index("held_out.jsonl:18") < text.index("held_out.jsonl:2")
    assert "burnish samples runs/demo --arm tuned" in text


def test_curves_tell_each_step_once(run_directory: Path) -> None:
    html = page(shown(run_directory))
    text = text_of(html, "training")
    assert "3 updates." in text
    assert "20.9000best so far" in text
    assert "30.9500" in text
    section = html[html.index('id="training"') : html.index('id="kept"')]
    assert re.search(r'<path d="M[\d.]+ [\d.]+h0M[\d.]+ [\d.]+h0"', section)  # two evaluations


def test_losses_are_better_or_worse_and_documents_have_no_prompts(text_run: Path) -> None:
    found = shown(text_run)
    assert {outcome: len(cases) for outcome, cases in found.outcomes().items()} == {"better": 20, "worse": 0, "same": 0}
    assert found.worst_first()[0].item == "held_out.jsonl:20"
    html = page(found)
    assert "Raw text is asked nothing" in text_of(html, "prompts")
    assert "3.180 nats per token" in text_of(html, "samples")
    assert "nothing moved" in text_of(html, "weights")
    assert "✓ right" not in html
    assert "3.180" in markdown(found)


def test_each_arm_s_exact_prompt(run_directory: Path) -> None:
    text = text_of(page(shown(run_directory)), "prompts")
    assert text.count("ask 17") == 4  # item 18 is the first that tuned has wrong
    assert "simple no language modelNo language model is asked" in text
    assert "similar_4 prompt: 4 similar examples, 517 tokens" in text


def test_closed_held_out_items_are_said_on_top(run_directory: Path) -> None:
    text = (run_directory / "recipe.yaml").read_text(encoding="utf-8")
    (run_directory / "recipe.yaml").write_text(text.replace("margin: null", "effort: none"), encoding="utf-8")
    lines = [json.loads(line) for line in (run_directory / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    kept = [line for line in lines if line["event"] != "held_out_opened"]
    (run_directory / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    change_lines(run_directory, lambda x: {**x, "part": "validation"} if x["part"] == "held_out" else None)
    found = shown(run_directory)
    top = Parsed(page(found)).text.partition("Item by item")[0]
    for said in ("Held-out items closed.", "No verdict yet", "nothing is proved yet", "20 validation items"):
        assert said in Parsed(page(found)).text
    assert "Fine-tuning helps" not in top
    assert "still closed: every number here is from validation items" in markdown(found)
    assert "held-out items, wrong" not in page(found)


@pytest.mark.parametrize("field", ["asked", "prompt", "answer", "expected", "item", "slice"])
def test_hostile_texts_stay_texts(run_directory: Path, field: str) -> None:
    calm = page(shown(run_directory))
    change_lines(run_directory, lambda x: {**x, field: f"{x[field]}{HOSTILE[int(x['item'][-1]) % len(HOSTILE)]}"})
    found = shown(run_directory)
    html, text = page(found), markdown(found)
    parsed = Parsed(html)
    assert {name for name, _ in parsed.elements} <= {name for name, _ in Parsed(calm).elements} | {"details", "summary"}
    assert not any(key.startswith("on") for _, attributes in parsed.elements for key in attributes)
    for written in (html, text):
        written.encode("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", written)


def test_hostile_recipes_data_and_notes_stay_texts(run_directory: Path) -> None:
    for name in ("data.json", "weights.json"):
        value = json.loads((run_directory / name).read_text(encoding="utf-8"))
        if name == "data.json":
            value |= {"notes": HOSTILE, "labels": HOSTILE, "dropped_ids": {"empty": HOSTILE}, "files": []}
        else:
            value["by_layer"] = [{"name": text, "relative_change": 0.1} for text in HOSTILE]
        (run_directory / name).write_text(json.dumps(value), encoding="utf-8")
    masks = [{**MASKS[0], "id": text, "pieces": [[text, text]]} for text in HOSTILE]
    (run_directory / "mask.json").write_text(json.dumps(masks), encoding="utf-8")
    with (run_directory / "events.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"event": "note", "text": text}) + "\n" for text in HOSTILE)
    html = page(shown(run_directory))
    assert not {name for name, _ in Parsed(html).elements} & {"script", "img"}
    html.encode("utf-8")


def test_pictures_stand_in_the_page_as_images_as_far_as_there_is_room(run_directory: Path) -> None:
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    change_lines(run_directory, lambda x: {**x, "answer": f"answer of {x['arm']}"})
    (run_directory / "pictures.json").write_text(json.dumps({"answer of tuned": svg}), encoding="utf-8")
    html = page(shown(run_directory))
    images = Parsed(html).of("img")
    assert len(images) == 20 + EXAMPLES + 7 + 3  # side by side, and the examples of three outcomes
    source = str(images[0]["src"])
    assert base64.b64decode(source.removeprefix("data:image/svg+xml;base64,")).decode() == svg
    assert "<script" not in html
    (run_directory / "pictures.json").write_text(json.dumps({"answer of tuned": svg + " " * 900_000}), encoding="utf-8")
    large = page(shown(run_directory))
    assert len(Parsed(large).of("img")) == 4
    assert "34 pictures are left out" in large
    (run_directory / "pictures.json").write_text('{"a": [', encoding="utf-8")
    with pytest.raises(RunError, match=r"pictures\.json: damaged"):
        shown(run_directory)


def test_masks_are_shown_token_by_token_where_there_are_any(run_directory: Path) -> None:
    assert "Which tokens were trained" not in page(shown(run_directory))
    (run_directory / "mask.json").write_text(json.dumps(MASKS), encoding="utf-8")
    html = page(shown(run_directory))
    assert "train.jsonl:4: 4 tokens, 2 of them trained" in text_of(html, "data")
    assert '<span class="token trained">answer</span><span class="token trained special">&lt;|im_end|' in html


def test_dropped_records_are_named_with_their_reason(run_directory: Path) -> None:
    path = run_directory / "data.json"
    value = json.loads(path.read_text(encoding="utf-8")) | {"dropped_ids": {"overlap": ["train.jsonl:7"]}}
    path.write_text(json.dumps(value), encoding="utf-8")
    text = text_of(page(shown(run_directory)), "data")
    for said in ("71 records were given", "3 dropped, and why", "train.jsonl:7", "held-out or validation file too"):
        assert said in text
    assert "opened 2 times on this machine" in text


@pytest.mark.slow
def test_a_large_run_makes_a_bounded_page(run_directory: Path) -> None:
    lines = [json.loads(line) for line in (run_directory / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    held_out = [line for line in lines if line["part"] == "held_out"]
    long = {"answer": "word " * 20_000, "prompt": "ask " * 40_000, "asked": "do " * 20_000, "expected": "x" * 90_000}
    many = [{**x, **long, "item": f"{x['item']}-{i}", "slice": f"{i} {x['item']}"} for x in held_out for i in range(10)]
    (run_directory / "samples.jsonl").write_text("".join(json.dumps(x) + "\n" for x in many), encoding="utf-8")
    data = json.loads((run_directory / "data.json").read_text(encoding="utf-8"))
    data |= {"labels": [f"label {i}" for i in range(10_000)], "dropped_ids": {"empty": ["a:1"] * 100}}
    (run_directory / "data.json").write_text(json.dumps(data), encoding="utf-8")
    found = shown(run_directory)
    assert len(found.cases) == 200
    html = page(found)
    assert len(html) < 3_000_000
    assert f"{SAMPLES} of 200 held-out items" in html
    assert "12 of 200 slices are drawn" in html
    assert len(markdown(found)) < 200_000
    Parsed(html)


def test_seventy_seven_labels(run_directory: Path) -> None:
    data = json.loads((run_directory / "data.json").read_text(encoding="utf-8"))
    data["labels"] = [f"label_{i}" for i in range(77)]
    (run_directory / "data.json").write_text(json.dumps(data), encoding="utf-8")
    assert "77 labels" in text_of(page(shown(run_directory)), "data")


def retention_lines() -> Lines:
    """Questions kept, lost and never known; requests answered plainly, in the task's format, and untold."""
    right = {"q1": (1.0, 1.0), "q2": (1.0, 0.0), "q3": (0.0, 0.0)}
    plain = {"part": "retention", "group": None, "seed": 0, "prompt": "p", "scoring": "likelihood", "expected": "e"}
    rows: Lines = []
    for arm in (0, 1):
        name = ("base", "tuned")[arm]
        for item, scores in right.items():
            more = {"slice": "knowledge", "score": scores[arm], "other_scores": {"margin": 0.5}}
            rows.append({**plain, **more, "arm": name, "item": f"knowledge:{item}", "answer": f"{item} said"})
        for item, spilt in (("calm", 0), ("spilt", arm), ("untold", None)):
            more = {"slice": "requests", "score": 1.0, "other_scores": {"spill_over": spilt}}
            rows.append({**plain, **more, "arm": name, "item": f"requests:{item}", "answer": f"{item} {name}"})
    return rows


def test_what_was_kept_is_shown_with_questions_and_requests(run_directory: Path) -> None:
    path = run_directory / "samples.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line["part"] != "retention"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert "did not measure what the model knew before" in text_of(page(shown(run_directory)), "kept")
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *retention_lines()]), encoding="utf-8")
    numbers = {"base": 0.66, "tuned": 0.33, "difference": -0.33, "low": -0.6, "high": 0.1, "count": 3}
    probe = Probe.model_validate({"name": "knowledge", "unit": "share", "better": "higher", **numbers})
    told = {"sentence": "Three items tell little.", "next_command": "burnish run lower", "spill_over": None}
    part = RetentionPart.model_validate(
        {"kept": "not_shown", "margin": 0.1, "margin_of_requests": 0.15, "probes": [probe], **told}
    )
    kept = read(run_directory)
    report = report_of(kept).model_copy(update={"retention": part})
    found = material(kept, report)
    text = text_of(page(found), "kept")
    for said in ("Not shown Three items tell little.nextburnish run lower", "66.0 %", "-33.0", "-60.0 to +10.0"):
        assert said in text
    assert "Questions lost: right before, wrong now (1 of 1)knowledge:q2" in text
    assert "Questions kept: right before and now (1 of 1)knowledge:q1" in text
    assert "q3 said" not in text
    assert text.index("requests:spilt") < text.index("requests:calm")
    assert "fine-tuned✓ rightin the task's format" in text
    assert "**not shown**: Three items tell little." in markdown(found)


def test_older_lines_without_the_request_show_the_prompt(run_directory: Path) -> None:
    change_lines(run_directory, lambda x: {key: value for key, value in x.items() if key != "asked"})
    assert shown(run_directory).cases[3].asked == "ask 3"


def test_markdown_tells_the_same(run_directory: Path) -> None:
    found = shown(run_directory)
    text = markdown(found)
    assert text.startswith("# cad: fine_tune\n")
    for said in (found.report.verdict.sentence, "Next: `burnish chat runs/demo`", "| fixed | 10 |", "`ask 17`"[1:-1]):
        assert said in text
    assert "| `all` | `tuned` | generation | 85.0 % | 64.0-94.8 % | 17/20 |" in text
    assert "burnish run runs/demo/recipe.yaml" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in rows)
