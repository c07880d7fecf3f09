"""`solid_equal`, loaded by path as a user's own metric would be, its numbers beside, and the list of disagreements."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.errors import RecipeError
from burnish.files import write_jsonl
from burnish.proof.metric import LoadedMetric, load_path
from burnish.types import Example, ItemScore, Message, Observation

ROOT = Path(__file__).parents[2]
FILE = ROOT / "recipes" / "cad" / "metric.py"
REFERENCE = "w = 60;\ndifference() {\n  cube([w, 40, 5]);\n  translate([w/2, 20, -1]) cylinder(h=7, d=8);\n}"
OTHER_TEXT = REFERENCE.replace("w/2", "30")
NO_HOLE = "cube([60, 40, 5]);"


@pytest.fixture(scope="module")
def metric() -> LoadedMetric:
    return load_path(FILE)


def item(metric: LoadedMetric, answer: str | None) -> ItemScore:
    messages = (Message("user", "a plate"), Message("assistant", REFERENCE, trained=True))
    return metric.score(Observation(answer), Example("held_out.jsonl:1", messages))


def test_it_is_a_share_with_four_numbers_beside_it(metric: LoadedMetric) -> None:
    assert (metric.name, metric.is_share, metric.better, metric.reads) == ("solid_equal", True, "higher", "answer")
    beside = [(other.name, other.is_share, other.better) for other in metric.others()]
    assert beside == [
        ("valid_program", True, "higher"),
        ("unsupported_program", True, "lower"),
        ("mean_iou", False, "higher"),
        ("same_text", True, "higher"),
    ]


@pytest.mark.parametrize(
    ("answer", "value", "beside"),
    [
        (REFERENCE, 1.0, [1, 0, 1, 1]),
        (OTHER_TEXT, 1.0, [1, 0, 1, 0]),
        (NO_HOLE, 0.0, [1, 0, pytest.approx(0.979, abs=0.001), 0]),
        ("cube(", 0.0, [0, 0, 0, 0]),
        ("linear_extrude(5) square(9);", 0.0, [0, 1, 0, 0]),
        (None, 0.0, [0, 0, 0, 0]),
    ],
)
def test_an_item_s_numbers(metric: LoadedMetric, answer: str | None, value: float, beside: list[object]) -> None:
    found = item(metric, answer)
    assert found.value == value
    assert [found.detail[name] for name in ("valid", "unsupported", "iou", "text_equal")] == beside
    assert [item(other, answer).value for other in metric.others()] == beside
    assert ("fault" in found.detail) == (found.detail["valid"] == 0)


def test_a_reference_that_is_no_solid_is_named_by_its_item(metric: LoadedMetric) -> None:
    messages = (Message("user", "a plate"), Message("assistant", "cube(", trained=True))
    with pytest.raises(RecipeError, match=r"solid_equal.*held_out\.jsonl:1.*line 1, column 6"):
        metric.score(Observation("cube(1);"), Example("held_out.jsonl:1", messages))


def test_without_manifold3d_the_metric_is_refused_and_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['manifold3d'] = None\n"
        "from pathlib import Path\nfrom burnish.errors import RecipeError\nfrom burnish.proof.metric import load_path\n"
        f"try: load_path(Path({str(FILE)!r}))\nexcept RecipeError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "needs the Python module 'manifold3d', which is not installed; install it: " in said
    assert said.rstrip().endswith("-m pip install manifold3d")
    assert len(said.splitlines()) == 1


def test_a_metric_sees_the_files_beside_it_and_those_of_another_recipe_never(tmp_path: Path) -> None:
    for folder, value in (("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "beside.py").write_text(f"VALUE = {value}\n", encoding="utf-8")
        text = "class M:\n    name = unit = 'm'\n    better = 'higher'\n"
        text += "    is_share = False\n    margin = 1.0\n    reads = 'answer'\n"
        text += "    def score(self, *_):\n        from .beside import VALUE\n        return VALUE\n\nmetric = M()\n"
        (tmp_path / folder / "metric.py").write_text(text, encoding="utf-8")
    one, two = (load_path(tmp_path / folder / "metric.py") for folder in ("one", "two"))
    assert (item(one, "").value, item(two, "").value) == (1.0, 2.0)
    (tmp_path / "one" / "beside.py").write_text("VALUE = 333\n", encoding="utf-8")  # changed: read again
    assert item(load_path(tmp_path / "one" / "metric.py"), "").value == 333.0


def test_a_faulty_metric_beside_another_is_refused() -> None:
    class Beside:
        name = "beside"

    broken = replace(load_path(FILE), also=(Beside(),))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"metric\.unit is missing"):
        broken.others()


def test_a_picture_of_an_answer(metric: LoadedMetric) -> None:
    assert metric.picture is not None
    drawn = metric.picture(REFERENCE)
    assert drawn is not None
    assert drawn.startswith("<svg")
    assert metric.picture("cube(") is None
    assert metric.picture("linear_extrude(5) square(9);") is None


def test_where_text_and_geometry_disagree_is_listed(metric: LoadedMetric, tmp_path: Path) -> None:
    lines = []
    for i, answer in enumerate((REFERENCE, OTHER_TEXT, NO_HOLE, "hull() cube(1);")):
        found = item(metric, answer)
        lines.append({"part": "held_out", "arm": "tuned", "item": f"held_out.jsonl:{i}", "scoring": "generation",
                      "answer": answer, "expected": REFERENCE, "score": found.value,
                      "details": {"solid_equal": dict(found.detail)}})  # fmt: skip
    write_jsonl(tmp_path / "samples.jsonl", lines)
    command = [sys.executable, "-m", "recipes.cad.compare", str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[0] == (
        "tuned: 4 answers; 0 same text, other solid, 1 same solid, other text; 1 not read here"
    )
    assert "--- tuned held_out.jsonl:1: same solid, other text, iou 1.0" in said
    assert said.count("---") == 1
