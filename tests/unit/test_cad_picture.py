"""Pictures of solids: which faces are drawn, in which order, how many bytes."""

import re
import xml.etree.ElementTree as ET

from manifold3d import Manifold

from recipes.cad.combinations import FAMILIES as COMBINATIONS
from recipes.cad.generate import FAMILIES, Writer
from recipes.cad.geometry import solid
from recipes.cad.picture import SIZE, svg

FILL = re.compile(r'fill="(#[0-9a-f]{6})" stroke')


def filled(text: str) -> list[str]:
    """Colours of the faces, from back to front."""
    return FILL.findall(text)


def drawn(program: str) -> str:
    return svg(solid(program, facets=32))


def test_a_cube_shows_three_faces_with_three_shades_and_their_edges() -> None:
    text = drawn("cube([30, 20, 10]);")
    assert len(filled(text)) == len(set(filled(text))) == 3
    assert text.count('fill="none"') == 3
    assert "30 × 20 × 10 mm" in text


def test_a_round_side_has_no_edges_but_its_outline() -> None:
    text = drawn("cylinder(h=20, d=20);")
    sides = len(filled(text)) - 1
    assert sides in (15, 16, 17)  # the half of 32 that looks this way
    lines = re.findall(r'<path d="([^"]*)" fill="none"', text)
    rims, outlines = 32 + 16 + 16, 2  # above by the top, above and below by the sides
    assert sum(line.count("L") for line in lines) == rims + outlines


def test_what_is_hidden_is_not_drawn() -> None:
    assert drawn("cube(20); translate([5, 5, 5]) cube(5);") == drawn("cube(20);")
    behind = "translate([-30, 30, -30]) cube(5);"
    assert len(filled(drawn(f"cube(20); {behind}"))) == 3


def test_what_is_in_front_is_drawn_last_whatever_is_written_first() -> None:
    both = ["cube(20);", "translate([22, -22, 0]) cube([20, 20, 60]);"]
    one, other = drawn("".join(both)), drawn("".join(reversed(both)))
    assert sorted(filled(one)) == sorted(filled(other))
    paths = re.findall(r'<path d="([^"]*)" fill="#', one)
    heights = [max(float(y) for y in re.findall(r" (-?[\d.]+)", path)) for path in paths]
    assert max(heights) in heights[-3:]  # the front block, which reaches lowest in the picture, comes at the end


def test_the_wall_of_a_hole_comes_before_the_face_around_it() -> None:
    text = drawn("difference() { cube([60, 40, 20]); translate([30, 20, -1]) cylinder(h=22, d=20); }")
    paths = re.findall(r'<path d="([^"]*)" fill="#', text)
    with_hole = [i for i, path in enumerate(paths) if path.count("M") == 2]
    walls = [i for i, path in enumerate(paths) if path.count("M") == 1 and path.count("L") == 3]
    assert len(with_hole) == 1
    assert len(walls) > 5
    assert sum(i < with_hole[0] for i in walls) > 5


def test_every_family_is_small_well_formed_within_its_frame_and_the_same_again() -> None:
    writer = Writer(seed=7)
    for family in (*FAMILIES, *COMBINATIONS):
        program = family.program(writer.values(family))
        text = drawn(program)
        assert len(text) <= 30_000, family.name
        ET.fromstring(text)
        numbers = [float(x) for path in re.findall(r' d="([^"]*)"', text) for x in re.findall(r"-?[\d.]+", path)]
        assert min(numbers) >= 0, family.name
        assert max(numbers) <= SIZE, family.name
        solid.cache_clear()
        assert drawn(program) == text, family.name


def test_touching_corners_are_drawn_too() -> None:
    touching = Manifold.cube((1, 1, 1)) + Manifold.cube((1, 1, 1)).translate((1, 1, 1))
    assert len(filled(svg(touching))) == 6
