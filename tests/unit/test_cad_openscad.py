"""Programs that are refused: what is wrong stands in a sentence with its place, and none takes long."""

import re

import pytest

from burnish.models.device import best_seconds
from recipes.cad.geometry import compare, solid
from recipes.cad.openscad.words import ProgramFault, Unsupported


@pytest.mark.parametrize(
    ("program", "where", "what"),
    [
        ("", "1, column 1", "draws nothing"),
        ("w = 5;", "1, column 1", "draws nothing"),
        ("cube([1, 2, 3])", "1, column 16", "expected ';'"),
        ("cube([1, 2, 3);", "1, column 14", "expected ','"),
        ("cube([1, 2, 3]];", "1, column 15", "expected ','"),
        ("w = 5\ncube(w);", "2, column 1", "found 'cube', expected ';'"),
        ("w = ;", "1, column 5", "expected a value"),
        ("union() {\n  cube(1);\n", "3, column 1", "expected '}'"),
        ("cube(1); }", "1, column 10", "found '}', expected a name"),
        ("w = 5;\ncube([w, d, 1]);", "2, column 10", "'d' has no value here"),
        ("Here is the program:", "1, column 6", "expected '('"),
        ("plate(5);", "1, column 1", "no shape of OpenSCAD"),
        ("cube(half(3));", "1, column 6", "no function of OpenSCAD"),
        ("cube(1 / 0);", "1, column 10", "is no number"),
        ("cube(1e400);", "1, column 1", "size is inf"),
        ("cube(10 ^ 9999);", "1, column 11", "is no number"),
        ("cube(sqrt(-1));", "1, column 6", "is no number"),
        ("cube(1e7);", "1, column 1", "up to 1,000,000 mm"),
        ("translate([1e300, 0, 0]) cube(1);", "1, column 1", "up to 1,000,000 mm"),
        ("cube([1, 2]);", "1, column 1", "expected three numbers"),
        ('cube("5");', "1, column 1", "expected a number"),
        ("cube(true);", "1, column 1", "expected a number"),
        ("translate(5) cube(1);", "1, column 1", "expected three numbers"),
        ("cube(1 + true);", "1, column 10", "expected a number"),
        ("cube([1, 2, 3] + 1);", "1, column 18", "has no value"),
        ("a = [1]; cube(a[1]);", "1, column 15", "has no element 1"),
        ("cube(1); /* open", "1, column 10", "never closed"),
        ('cube("open);', "1, column 6", "never closed"),
        ("cube(55mm);", "1, column 6", "runs into a word"),
        ("cube(1) @;", "1, column 9", "means nothing here"),
        ("cube([0, 1, 1]);", "1, column 1", "leaves no solid"),
        ("cylinder(h=-1, d=4);", "1, column 1", "leaves no solid"),
        ("intersection() { cube(1); translate([5, 0, 0]) cube(1); }", "1, column 1", "leaves no solid"),
    ],
)
def test_a_fault_says_what_and_where(program: str, where: str, what: str) -> None:
    with pytest.raises(ProgramFault, match=re.escape(f"line {where}: ")) as raised:
        solid(program)
    assert what in str(raised.value)
    assert not isinstance(raised.value, Unsupported)
    found = compare(program, "cube(1);")
    assert (found.valid, found.unsupported, found.equal, found.iou) == (False, False, False, 0.0)


@pytest.mark.parametrize(
    "program",
    [
        "linear_extrude(5) square(3);",
        "minkowski() { cube(1); sphere(1); }",
        "hull() { cube(1); sphere(1); }",
        "include <screws.scad>\ncube(1);",
        "!cube(1);",
        "cube([for (i = [0:2]) i]);",
        "cube(let(a = 2) a);",
        "cube(len([1, 2]));",
        "rotate(a=30, v=[1, 1, 0]) cube(1);",
    ],
)
def test_openscad_that_is_not_read_is_unsupported_and_no_fault_of_the_program(program: str) -> None:
    found = compare(program, "cube(1);")
    assert (found.valid, found.unsupported, found.equal) == (False, True, False)
    assert found.fault is not None
    assert found.fault.startswith("line 1, column ")


@pytest.mark.parametrize("before", ["linear_extrude(5) square(3);", "include <math.h>", "!cube(1);"])
def test_a_fault_of_grammar_goes_before_what_is_not_read(before: str) -> None:
    assert compare(f"{before} int main() {{", "cube(1);").unsupported is False


HOSTILE = {
    "a megabyte of brackets": "(" * 1_000_000,
    "brackets": "cube(" + "(" * 19_000,
    "vectors": "cube(" + "[" * 9_000 + "]" * 9_000 + ");",
    "braces": "{" * 9_000 + "}" * 9_000,
    "minus": "cube(" + "-" * 19_000 + "1);",
    "powers": "cube(2" + "^1" * 9_000 + ");",
    "a long sum": "cube(1" + "+1" * 9_000 + "+" + "-1" * 900 + ");",
    "choices": "cube(" + "1?" * 6_000 + "1" + ":1" * 6_000 + ");",
    "else": "if (1) cube(1);" + " else if (1) cube(1);" * 900,
    "moves": "translate([0,0,0]) " * 1_000 + "cube(1);",
    "indices": "a = [1]; cube(a" + "[0]" * 6_000 + ");",
    "digits": "cube(" + "9" * 19_000 + ");",
    "exponent": "cube(1e" + "9" * 19_000 + ");",
    "comments": "/*" * 9_000,
    "texts": '"\\' * 9_000,
    "control characters": "\x00\u202e\ud800" * 3_000,
    "doubling": "a0 = [1, 1];" + "".join(f"a{i + 1} = [a{i}, a{i}];" for i in range(60)) + "cube(a60 * 2);",
    "an endless loop": "for (i = [0 : 1e-9 : 1e9]) cube(1);",
    "loops in loops": "for (a = [0:999], b = [0:999], c = [0:999]) { }",
    "a module without end": "module m() { m(); } m();",
    "two calls each": "module m(n) { m(n - 1); m(n - 1); } m(9);",
    "a function without end": "function f(x) = f(x + 1); cube(f(1));",
    "calls in calls": "function f(x) = x < 1 ? 1 : f(x - 1) + f(x - 1); cube(f(60));",
    "many facets": "sphere(r=5, $fn=1000000000); cylinder(h=1e6, r=1e6, $fn=1e9);",
    "many spheres": "".join(f"translate([{i}, {i * 0.3:g}, {i * 0.7:g}]) sphere(d=60);" for i in range(400)),
    "many holes": "difference() { cube(900); for (i = [0:9], j = [0:9]) translate([i * 90, j * 90, 0]) sphere(40); }",
    "crossing": "".join(f"rotate([{i * 9:g}, {i * 7:g}, {i}]) cylinder(h=60, d=9, center=true);" for i in range(16)),
    "balls": "".join(f"translate([{i}, {i * 0.3:g}, {i * 0.7:g}]) sphere(d=60);" for i in range(16)),
    "needles": "".join(f"rotate([{i * 2.9:g}, 0, 0]) cylinder(h=1e6, d=1e-6, center=true);" for i in range(16)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_end_within_a_second(name: str) -> None:
    """The quickest of several, since the machine may be busy with other tests."""
    found = compare(HOSTILE[name], "cube(1);")
    assert best_seconds(lambda: compare(HOSTILE[name], "cube(1);"), 2) < 1.0
    assert found.valid or re.match(r"line \d+, column \d+: \S", found.fault or "")
