"""Equality of programs as text: but for white space, the spelling of numbers and the order of assignments."""

import time

import pytest

from recipes.cad.program_text import same_text

REFERENCE = """w = 60; d = 40; t = 5; hole = 8;
difference() {
  cube([w, d, t]);
  translate([w/2, d/2, -1]) cylinder(h=t+2, d=hole);
}"""


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
def test_equal_programs(answer: str) -> None:
    assert same_text(answer, REFERENCE)


@pytest.mark.parametrize(
    "answer",
    [
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
def test_unequal_programs(answer: str) -> None:
    assert not same_text(answer, REFERENCE)


def test_the_order_of_shapes_and_of_dependent_assignments_counts() -> None:
    assert not same_text("sphere(d=4); cube([1, 2, 3]);", "cube([1, 2, 3]); sphere(d=4);")
    assert not same_text("b = a; a = 5; sphere(d=b);", "a = 5; b = a; sphere(d=b);")
    assert not same_text("a = 6; a = 5; sphere(d=a);", "a = 5; a = 6; sphere(d=a);")


@pytest.mark.parametrize("number", ["0", "00", "0.0", ".0", "0e5"])
def test_spellings_of_zero(number: str) -> None:
    assert same_text(f"x = {number};", "x = 0;")
    assert not same_text(f"x = {number};", "x = 10;")


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
def test_hostile_text_is_wrong_and_quickly_so(answer: str) -> None:
    started = time.perf_counter()
    assert not same_text(answer, REFERENCE)
    assert time.perf_counter() - started < 1.0
