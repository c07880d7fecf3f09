"""`program_equal`, loaded by path as a user's own metric would be."""

import time
from pathlib import Path

import pytest

from burnish.proof.metric import LoadedMetric, load_path
from burnish.types import Example, Message, Observation

FILE = Path(__file__).parents[2] / "recipes" / "cad" / "metric.py"
REFERENCE = """w = 60; d = 40; t = 5; hole = 8;
difference() {
  cube([w, d, t]);
  translate([w/2, d/2, -1]) cylinder(h=t+2, d=hole);
}"""


@pytest.fixture(scope="module")
def metric() -> LoadedMetric:
    return load_path(FILE)


def score(metric: LoadedMetric, answer: str | None, reference: str = REFERENCE) -> float:
    messages = (Message("user", "a plate"), Message("assistant", reference, trained=True))
    return metric.score(Observation(answer), Example("held_out.jsonl:1", messages)).value


def test_it_is_a_share_of_answers(metric: LoadedMetric) -> None:
    assert (metric.name, metric.is_share, metric.better, metric.reads) == ("program_equal", True, "higher", "answer")


@pytest.mark.parametrize(
    "answer",
    [
        REFERENCE,
        "\n" + REFERENCE.replace("\n", "\r\n\t") + "  \n",
        REFERENCE.replace(" ", "  ").replace("/", " / ").replace("=", " = "),
        REFERENCE.replace(" = ", "="),
        "t = 5; hole = 8; w = 60; d = 40;\n" + REFERENCE.split("\n", 1)[1],
        REFERENCE.split("\n", 1)[1] + "\nw = 60; d = 40; t = 5; hole = 8;",  # OpenSCAD reads assignments first
        REFERENCE.replace("60", "60.0").replace("= 5", "= 05").replace("8", "8.").replace("40", "4e1"),
        REFERENCE.replace("hole = 8;", "hole = .8e1; // the hole\n/* through */"),
        REFERENCE.replace("}", "};"),  # an empty statement
    ],
)
def test_equal_programs(metric: LoadedMetric, answer: str) -> None:
    assert score(metric, answer) == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "",
        "```openscad\n" + REFERENCE + "\n```",  # fences are taken off for every arm alike, before any metric
        REFERENCE.replace("60", "61"),
        REFERENCE.replace("60", "600"),
        REFERENCE.replace("60", "6 0"),
        REFERENCE.replace("= 5", "= 0.5"),
        REFERENCE.replace("= 5", "= -5"),
        REFERENCE.replace("hole", "bore"),  # renamed: another program
        REFERENCE.replace("w/2", "30"),  # the same value of another expression
        REFERENCE.replace("w = 60; d = 40", "w = 40; d = 60"),
        REFERENCE.replace("[w, d, t]", "[d, w, t]"),
        REFERENCE.replace("hole = 8; ", "").replace("hole = 8;", ""),
        REFERENCE[:-1],
        REFERENCE + " }",
        REFERENCE + " cube([w, d, t]);",
        REFERENCE + " w = 70;",  # the last assignment of a name counts
        REFERENCE.replace("cube([w", "cu be([w"),
        "Here is the program: " + REFERENCE,
    ],
)
def test_unequal_programs(metric: LoadedMetric, answer: str | None) -> None:
    assert score(metric, answer) == 0.0


def test_the_order_of_shapes_and_of_dependent_assignments_counts(metric: LoadedMetric) -> None:
    assert score(metric, "sphere(d=4); cube([1, 2, 3]);", "cube([1, 2, 3]); sphere(d=4);") == 0.0
    assert score(metric, "b = a; a = 5; sphere(d=b);", "a = 5; b = a; sphere(d=b);") == 0.0
    assert score(metric, "a = 6; a = 5; sphere(d=a);", "a = 5; a = 6; sphere(d=a);") == 0.0


@pytest.mark.parametrize("number", ["0", "00", "0.0", ".0", "0e5"])
def test_spellings_of_zero(metric: LoadedMetric, number: str) -> None:
    assert score(metric, f"x = {number};", "x = 0;") == 1.0
    assert score(metric, f"x = {number};", "x = 10;") == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "(" * 1_000_000,
        "/*" * 9_990,
        '"\\' * 9_990,
        "9" * 19_999,
        "1e" + "9" * 19_000,
        "1e9999;" * 2_800,
        "{}" * 9_990,
        "a=" * 9_990,
        "[" * 9_990 + "]" * 9_990,
        "\x00\u202e\ud800" * 3_000,
        " " * 19_999 + "x",
    ],
)
def test_hostile_text_is_wrong_and_quickly_so(metric: LoadedMetric, answer: str) -> None:
    started = time.perf_counter()
    assert score(metric, answer) == 0.0
    assert time.perf_counter() - started < 1.0
