"""The built-in demo's data: made again byte for byte, nothing repeated, sound parts, few tokens."""

import hashlib
import importlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from transformers import AutoTokenizer

from burnish.models import catalog

ROOT = Path(__file__).parents[2]
CAD = ROOT / "recipes" / "cad"
PARTS = ("train", "validation", "held_out")
RECIPE = yaml.safe_load((CAD / "recipe.yaml").read_text(encoding="utf-8"))
Record = dict[str, str]


@pytest.fixture(scope="module")
def data() -> dict[str, list[Record]]:
    lines = {part: (CAD / f"{part}.jsonl").read_text(encoding="utf-8").splitlines() for part in PARTS}
    return {part: [json.loads(line) for line in found] for part, found in lines.items()}


@pytest.fixture(scope="module")
def everything(data: dict[str, list[Record]]) -> list[Record]:
    return [record for part in PARTS for record in data[part]]


@pytest.fixture
def cad(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The generator, with the root of the repository on the path as in `python -m recipes.cad.generate`."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("recipes.cad.generate")


def wording(sentence: str) -> str:
    """The sentence without its numbers, case, signs, and the a or an before a number."""
    return re.sub(r"[^a-z#]+", " ", re.sub(r"\ban\b", "a", re.sub(r"\d+(\.\d+)?", "#", sentence.lower())))


def taken(program: str) -> dict[str, str]:
    """name -> number, from the program's first line."""
    return dict(re.findall(r"(\w+) = ([\d.]+);", program.split("\n")[0]))


def test_generating_again_gives_the_committed_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recipes.cad.generate", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    for part in PARTS:
        assert (tmp_path / f"{part}.jsonl").read_bytes() == (CAD / f"{part}.jsonl").read_bytes(), part


def test_counts_of_parts_slices_and_families(data: dict[str, list[Record]]) -> None:
    assert {part: len(records) for part, records in data.items()} == {"train": 400, "validation": 40, "held_out": 120}
    slices = Counter(record["slice"] for record in data["held_out"])
    assert slices == {"known": 60, "new_wording": 40, "new_combination": 20}
    families = Counter(record["family"] for record in data["train"])
    assert len(families) == 20
    assert min(families.values()) == 14
    for part in ("validation", "held_out"):
        known = [record["family"] for record in data[part] if record["slice"] == "known"]
        assert set(known) == set(families), part


def test_no_sentence_and_no_part_is_repeated(everything: list[Record]) -> None:
    for field in ("prompt", "completion"):
        assert len({" ".join(record[field].lower().split()) for record in everything}) == len(everything) == 560, field


def test_new_wordings_and_combinations_are_new_and_known_ones_are_known(data: dict[str, list[Record]]) -> None:
    trained = Counter(wording(record["prompt"]) for record in data["train"])
    assert min(trained.values()) >= 2
    seen = set(trained) | {wording(record["prompt"]) for record in data["validation"]}
    shapes = {record["completion"].split("\n", 1)[1] for record in data["train"]}
    assert seen == set(trained)
    for record in data["held_out"]:
        assert (wording(record["prompt"]) in seen) == (record["slice"] == "known"), record["prompt"]
        body = record["completion"].split("\n", 1)[1]
        assert (body in shapes) == (record["slice"] != "new_combination"), record["prompt"]
    fresh = [wording(record["prompt"]) for record in data["held_out"] if record["slice"] != "known"]
    assert len(set(fresh)) == 60


def test_a_new_combination_uses_only_names_and_features_seen_in_training(data: dict[str, list[Record]]) -> None:
    names = {name for record in data["train"] for name in taken(record["completion"])}
    for record in data["held_out"]:
        assert set(taken(record["completion"])) <= names, record["family"]


def test_every_number_is_copied_and_none_is_calculated(everything: list[Record]) -> None:
    for record in everything:
        first, body = record["completion"].split("\n", 1)
        spoken = re.findall(r"\d+(?:\.\d+)?", record["prompt"])
        assert re.fullmatch(r"(\w+ = \d+(\.\d+)?; ?)+", first), first
        assert set(taken(first).values()) <= set(spoken), record
        assert set(re.findall(r"\d+", re.sub(r"\b[a-z]\w*|\$fn=6", "", body))) <= {"0", "1", "2", "90"}, body
        assert set(re.findall(r"\b[a-z]\w*\b", body)) - set(taken(first)) <= {
            *("cube", "cylinder", "sphere", "translate", "rotate", "union", "difference", "intersection"),
            *("center", "true", "fn", "h", "d"),
        }, body


def test_sentences_read_like_english(everything: list[Record]) -> None:
    for record in everything:
        sentence = record["prompt"]
        assert not re.search(r"\b[Aa] (8|11\b|18\b)|\b[Aa]n (?!8|11\b|18\b|[aeiouAEIOUL])", sentence), sentence
        assert "  " not in sentence, sentence
        assert "{" not in sentence, sentence
        assert sentence == sentence.strip(), sentence


def test_every_part_keeps_the_rules_of_geometry(cad: ModuleType, everything: list[Record]) -> None:
    for record in everything:
        assert cad.checks.faults(cad.solid.read(record["completion"])) == [], record["completion"]


PLATE = "difference() { cube([40, 30, 5]); %s }"


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        (PLATE % "translate([5, 15, -1]) cylinder(h=7, d=8.5);", "crosses or nears"),  # 0.75 mm to the edge
        (PLATE % "translate([0, 15, -1]) cylinder(h=7, d=8);", "crosses or nears"),  # through the edge
        (PLATE % "translate([9, 15, -1]) cylinder(h=7, d=8); translate([17.5, 15, -1]) cylinder(h=7, d=8);", "nears"),
        (PLATE % "translate([20, 15, 0]) cylinder(h=6, d=8);", "nearer"),  # starts in the plate's own face
        (PLATE % "translate([20, 15, -0.4]) cylinder(h=6, d=8);", "nearer"),  # passes by 0.4
        (PLATE % "translate([20, 15, -1]) cylinder(h=4, d=8);", "ends inside"),  # a blind hole
        (PLATE % "translate([10, 10, 1]) cube([9, 9, 2]);", "ends inside"),  # a hollow inside
        ("union() { cube([40, 30, 5]); translate([20, 15, 5]) cylinder(h=9, d=8); }", "nearer"),  # only touches
        ("union() { cube([40, 30, 5]); translate([20, 15, 6]) cylinder(h=9, d=8); }", "overlap by -1"),  # floats
        ("difference() { cylinder(h=9, d=10, $fn=6); translate([0, 0, -1]) cylinder(h=11, d=7); }", "nears"),
        ("difference() { cylinder(h=9, d=10); translate([0, 0, -1]) cylinder(h=11, d=12); }", "crosses"),
        ("cube([40, 30, 0]);", "thinner"),
    ],
)
def test_the_rules_of_geometry_find_faults(cad: ModuleType, program: str, fault: str) -> None:
    assert any(fault in found for found in cad.checks.faults(cad.solid.read(program))), program


def test_a_turned_hole_lies_along_x(cad: ModuleType) -> None:
    hole = cad.solid.read("h = 30; translate([-1, 10, h/2]) rotate([0, 90, 0]) cylinder(h=6, d=4);")
    assert (hole.low, hole.high, hole.axis) == ((-1, 8, 13), (5, 12, 17), 0)


@pytest.mark.parametrize(
    "program",
    ["", "cube([1, 2, 3])", "minkowski() {}", "cube([x, 1, 1]);", "cube([1, 1, 1]); cube([1, 1, 1]);", "w =", "[("],
)
def test_the_reader_refuses_what_no_family_writes(cad: ModuleType, program: str) -> None:
    with pytest.raises(ValueError, match=r"word|primitive"):
        cad.solid.read(program)


def test_the_page_names_the_frozen_bytes() -> None:
    page = (CAD / "README.md").read_text(encoding="utf-8")
    for part in PARTS:
        assert hashlib.sha256((CAD / f"{part}.jsonl").read_bytes()).hexdigest()[:16] in page, part


def test_the_recipe_names_the_files_and_the_rates_of_the_plan(data: dict[str, list[Record]]) -> None:
    for part in PARTS:
        assert RECIPE["data"][part] == f"{part}.jsonl"
    assert RECIPE["task"]["metric"] == {"path": "metric.py"}
    assert RECIPE["training"] == {"learning_rate": 2e-3, "batch_size": 2, "epochs": 1, "evaluate_every": 68}
    assert data["validation"][0]["family"] == "plate"


def conversation(record: Record) -> list[dict[str, str]]:
    request = f"{RECIPE['data']['instruction']}\n\n{record['prompt']}"
    return [{"role": "user", "content": request}, {"role": "assistant", "content": record["completion"]}]


def estimated(text: str) -> int:
    """Tokens of SmolLM2, within 14 a record: long words count twice, digits once each."""
    words = re.findall(r" ?[A-Za-z]+|\d| (?=\d)|[\[\](){},;=$+*/.:?-]+|\n ?", text)
    return sum(1 + (len(word.strip()) > 7) for word in words)


def length(record: Record) -> int:
    """Estimated tokens of a whole record; 34 are the template with SmolLM2's own system message."""
    return 34 + estimated("\n".join(turn["content"] for turn in conversation(record)))


def test_records_are_short_by_estimate(data: dict[str, list[Record]]) -> None:
    lengths = {part: [length(record) for record in records] for part, records in data.items()}
    assert max(max(found) for found in lengths.values()) <= 250
    assert sum(lengths["train"]) * RECIPE["training"]["epochs"] <= 65_000


@pytest.mark.real_model
def test_records_are_short_by_the_models_own_tokenizer(data: dict[str, list[Record]]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(catalog.fetch(RECIPE["model"]))
    counts = {
        part: [len(tokenizer(tokenizer.apply_chat_template(conversation(record), tokenize=False))["input_ids"])
               for record in records]
        for part, records in data.items()
    }  # fmt: skip
    assert {part: sum(found) for part, found in counts.items()} == TOKENS
    assert max(max(found) for found in counts.values()) == 239
    for part in PARTS:
        for count, record in zip(counts[part], data[part], strict=True):
            assert abs(count - length(record)) <= 14, record


TOKENS = {"train": 59_947, "validation": 6_038, "held_out": 18_902}  # frozen with the data
