"""Solids of programs: volumes and through holes known in closed form, and every reference of the committed data."""

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from recipes.cad import combinations, generate
from recipes.cad.geometry import FACETS, compare, solid

CAD = Path(__file__).parents[2] / "recipes" / "cad"
PLATE = "difference() { cube([60, 40, 5]); %s }"
HOLE = "translate([%g, 20, -1]) cylinder(h=7, d=8);"


def polygon(sides: int, radius: float) -> float:
    """Area of a regular polygon from the radius of its corners."""
    return sides / 2 * math.sin(2 * math.pi / sides) * radius**2


def frustum(height: float, low: float, high: float) -> float:
    """Volume between two circles of so many sides."""
    return polygon(FACETS, 1) * height / 3 * (low**2 + low * high + high**2)


def ball(radius: float, sides: int) -> float:
    """OpenSCAD's sphere, ring by ring."""
    rings = (sides + 1) // 2
    ring = [(radius * math.sin(a), radius * math.cos(a)) for a in (math.pi * (i + 0.5) / rings for i in range(rings))]
    parts = [h0 - h1 for (_, h0), (_, h1) in pairwise(ring)]
    radii = [(a * a + a * b + b * b) / 3 for (a, _), (b, _) in pairwise(ring)]
    return polygon(sides, 1) * sum(h * r for h, r in zip(parts, radii, strict=True))


@pytest.mark.parametrize(
    ("program", "volume", "genus"),
    [
        ("cube([2, 3, 4]);", 24, 0),
        ("cube(2);", 8, 0),
        ("cube(size=[2, 3, 4], center=true);", 24, 0),
        ("cylinder(h=10, d=6);", 10 * polygon(FACETS, 3), 0),
        ("cylinder(10, 3, 3);", 10 * polygon(FACETS, 3), 0),
        ("cylinder(h=10, r=3, $fn=6);", 10 * polygon(6, 3), 0),
        ("$fn = 8; cylinder(h=10, r=3);", 10 * polygon(8, 3), 0),
        ("$fn = 9; cylinder(h=10, r=3);", 10 * polygon(FACETS, 3), 0),  # from 9 on a circle is a circle
        ("cylinder(h=10, r=3, $fn=1e9);", 10 * polygon(FACETS, 3), 0),
        ("cylinder(h=10, r=3, $fn=1);", 10 * polygon(3, 3), 0),  # OpenSCAD takes three at least
        ("cylinder(h=9, r1=4, r2=2);", frustum(9, 4, 2), 0),
        ("cylinder(h=9, d1=0, d2=4);", frustum(9, 0, 2), 0),
        ("sphere(d=6);", ball(3, FACETS), 0),
        ("sphere(3, $fn=8);", ball(3, 8), 0),
        ("difference() { cube(4); translate([1, 1, -1]) cube([2, 2, 6]); }", 64 - 16, 1),
        ("difference() { cube(4); translate([1, 1, 1]) cube(2); }", 64 - 8, -1),  # a hollow: two surfaces
        ("union() { cube(4); translate([2, 0, 0]) cube(4); }", 96, 0),
        ("cube(1); translate([3, 0, 0]) cube(1);", 2, -1),  # two parts
        ("intersection() { cube(4); translate([1, 2, 3]) cube(4); }", 3 * 2 * 1, 0),
        ("rotate([0, 90, 0]) cylinder(h=10, d=6, center=true);", 10 * polygon(FACETS, 3), 0),
        ("scale([1, 2, 3]) cube(1);", 6, 0),
        ("mirror([1, 0, 0]) cube([1, 2, 3]);", 6, 0),
        (PLATE % (HOLE % 30), 12_000 - 5 * polygon(FACETS, 4), 1),
        (PLATE % (HOLE % 15 + HOLE % 30 + HOLE % 45), 12_000 - 15 * polygon(FACETS, 4), 3),
        (PLATE % "for (x = [10 : 10 : 50]) translate([x, 20, -1]) cylinder(h=7, d=8);",
         12_000 - 25 * polygon(FACETS, 4), 5),
        ("module peg(d=4) { cylinder(h=3, d=d); } peg(); translate([9, 0, 0]) peg(d=2);",
         3 * (polygon(FACETS, 2) + polygon(FACETS, 1)), -1),
        ("function half(x) = x / 2; if (half(4) == 2) cube(half(6)); else sphere(9);", 27, 0),
        ("x = 1; x = 2; cube(x);", 8, 0),  # the last assignment of a name counts
        ("%cube(9); *cube(8); #cube(2);", 8, 0),
        ("a = [1, 2, 3]; b = 2 * a - [1, 1, 1]; cube([b[0], b.y, -b[2] + 2 * 5]);", 1 * 3 * 5, 0),
        ("cube([1 + 2 * 3 ^ 2, true ? 7 % 4 : 0, sqrt(16) * cos(60)]);", 19 * 3 * 2, 0),
        ("cube(3, colour=2);", 27, 0),  # OpenSCAD passes over what it does not know
    ],
)  # fmt: skip
def test_volumes_and_holes_known_in_closed_form(program: str, volume: float, genus: int) -> None:
    built = solid(program)
    assert built.volume() == pytest.approx(volume, rel=1e-7)
    assert built.genus() == genus


def test_a_part_stands_where_openscad_puts_it() -> None:
    box = solid("translate([1, 2, 3]) rotate([0, 90, 0]) cylinder(h=10, d=6);").bounding_box()
    assert box == pytest.approx((1, -1, 0, 11, 5, 6))
    box = solid("rotate([90, 0, 90]) cube([1, 2, 3]);").bounding_box()  # about x first, then about z
    assert box == pytest.approx((0, 0, 0, 3, 1, 2))
    box = solid("rotate(90) cube([1, 2, 3]);").bounding_box()
    assert box == pytest.approx((-2, 0, 0, 0, 1, 3))


@pytest.mark.parametrize(
    ("answer", "equal"),
    [
        ("translate([30, 20, 2.5]) difference() { cube([60, 40, 5], center=true); cylinder(9, 4, 4, true); }", True),
        ("w = 60; difference() { cube([w, 40, 5]); translate([w/2, 20, 0]) cylinder(h=5, d=8, $fn=100); }", True),
        (PLATE % (HOLE % 30).replace("cylinder", "rotate(45) cylinder"), True),
        (PLATE % (HOLE % 30).replace("h=7", "h=6-4e-15"), True),  # rounding: no film of 4e-15 mm closes the hole
        (PLATE % (HOLE % 30.01), False),
        (PLATE % (HOLE % 30).replace("d=8", "d=8.01"), False),
        (PLATE % (HOLE % 30).replace("d=8", "r=8"), False),
        (PLATE % (HOLE % 30).replace("d=8", "d=8, $fn=8"), False),
        (PLATE % (HOLE % 30).replace("-1", "1e-7"), False),  # a film of no volume closes the hole: other genus
        ("cube([60, 40, 5]);", False),
        ("translate([0, 0, 1e-3]) " + PLATE % (HOLE % 30), False),
    ],
)  # fmt: skip
def test_the_same_part_is_the_same_however_it_is_written(answer: str, equal: bool) -> None:
    found = compare(answer, PLATE % (HOLE % 30))
    assert found.valid
    assert found.equal is equal, found


def test_a_small_hole_that_lacks_is_seen_though_the_overlap_is_large() -> None:
    plate = "difference() { cube([160, 120, 5]); %s }"
    found = compare(plate % "", plate % "translate([80, 60, -1]) cylinder(h=7, d=3);")
    assert found.iou == pytest.approx(1 - polygon(FACETS, 1.5) / (160 * 120))
    assert not found.equal


def test_overlap_is_intersection_over_union() -> None:
    assert compare("translate([1, 0, 0]) cube(2);", "cube(2);").iou == pytest.approx(4 / 12)
    assert compare("translate([5, 0, 0]) cube(2);", "cube(2);").iou == 0.0


def references() -> Iterator[tuple[str, dict[str, str]]]:
    for part in ("train", "validation", "held_out"):
        for number, line in enumerate((CAD / f"{part}.jsonl").read_text(encoding="utf-8").splitlines(), 1):
            yield f"{part}.jsonl:{number}", json.loads(line)


@pytest.mark.slow
def test_every_reference_of_the_data_is_one_valid_solid_with_its_familys_holes() -> None:
    genus = {family.name: family.genus for family in (*generate.FAMILIES, *combinations.FAMILIES)}
    wrong, count = [], 0
    for place, record in references():
        built = solid(record["completion"])
        count += 1
        if built.genus() != genus[record["family"]] or len(built.decompose()) != 1:
            wrong.append((place, record["family"], built.genus()))
    assert wrong == []
    assert count == 560
