"""Parts that combine features never seen together in training; each feature alone is seen there.

Names and order of the features follow the families that they come from, so that the program is determined by what
training shows. They are drawn for the held-out slice `new_combination` only.
"""

from random import Random

from recipes.cad.flat_parts import BOSS_PLATE, BOX, SLOTTED_PLATE, STRIP
from recipes.cad.parts import Family, Values, drill, size
from recipes.cad.profile_parts import BRACKET, CHANNEL
from recipes.cad.round_parts import CUP, KNOB, PEG, SHAFT


def _more(family: Family, name: str, low: float, high: float, random: Random) -> dict[str, float]:
    return {**family.draw(random), name: drill(random, low, high)}


def _strip_with_hole(random: Random) -> dict[str, float]:
    v = STRIP.draw(random)
    return {"l": v["l"], "w": v["w"], "t": v["t"], "hole": drill(random, 5, 25), "bolt": v["bolt"], "e": v["e"]}


def _slotted_disc(random: Random) -> dict[str, float]:
    v = SLOTTED_PLATE.draw(random)
    return {"d": size(random, 30, 120), "t": v["t"], "sl": v["sl"], "sw": v["sw"]}


def _slotted_disc_is_sensible(v: Values) -> bool:
    return 2 * v["sw"] <= v["sl"] <= 0.7 * v["d"] and v["t"] <= v["d"] / 8


STRIP_HOLE = Family(
    name="strip+centre_hole",
    genus=3,
    body="""
difference() {
  cube([l, w, t]);
  translate([l/2, w/2, -1]) cylinder(h=t+2, d=hole);
  translate([e, w/2, -1]) cylinder(h=t+2, d=bolt);
  translate([l-e, w/2, -1]) cylinder(h=t+2, d=bolt);
}""",
    draw=_strip_with_hole,
    sensible=lambda v: STRIP.sensible(v) and v["bolt"] < v["hole"] <= min(0.6 * v["w"], v["l"] / 4),
    known=(
        "A strip {l} x {w} x {t} mm with a {hole} mm hole in the middle and a {bolt} mm hole {e} mm from each end.",
        "Flat bar, {l} long, {w} wide, {t} thick: {hole} mm hole in the centre, two {bolt} mm holes {e} mm from the"
        " ends.",
    ),
)

BOX_HOLE = Family(
    name="box+floor_hole",
    genus=1,
    body="""
difference() {
  cube([w, d, h]);
  translate([t, t, t]) cube([w-2*t, d-2*t, h]);
  translate([w/2, d/2, -1]) cylinder(h=t+2, d=hole);
}""",
    draw=lambda random: _more(BOX, "hole", 4, 30, random),
    sensible=lambda v: BOX.sensible(v) and v["hole"] <= 0.5 * v["d"],
    known=(
        "An open box, {w} x {d} x {h} mm outside, walls {t} mm thick, with a {hole} mm hole in the middle of the"
        " floor.",
        "Box without a lid, {w} wide, {d} deep, {h} high, wall {t}, and a {hole} mm drain hole through the centre of"
        " the floor.",
    ),
)

CUP_HOLE = Family(
    name="cup+floor_hole",
    genus=1,
    body="""
difference() {
  cylinder(h=h, d=d);
  translate([0, 0, t]) cylinder(h=h, d=d-2*t);
  translate([0, 0, -1]) cylinder(h=t+2, d=hole);
}""",
    draw=lambda random: _more(CUP, "hole", 4, 30, random),
    sensible=lambda v: CUP.sensible(v) and v["hole"] <= 0.5 * v["d"],
    known=(
        "A round pot, {d} mm in diameter and {h} mm high, {t} mm walls, with a {hole} mm hole in the floor.",
        "Round cup {h} tall, {d} across, walls and floor {t}, and a {hole} mm hole through the centre of the floor.",
    ),
)

CHANNEL_HOLE = Family(
    name="channel+floor_hole",
    genus=1,
    body="""
difference() {
  cube([l, w, h]);
  translate([-1, t, t]) cube([l+2, w-2*t, h]);
  translate([l/2, w/2, -1]) cylinder(h=t+2, d=hole);
}""",
    draw=lambda random: _more(CHANNEL, "hole", 3, 20, random),
    sensible=lambda v: CHANNEL.sensible(v) and v["hole"] <= 0.5 * v["w"],
    known=(
        "A U-channel {l} mm long, {w} mm wide, {h} mm high, walls {t} mm, with a {hole} mm hole in the middle of its"
        " floor.",
        "U profile, length {l}, width {w}, height {h}, {t} mm thick, {hole} mm hole through the centre of the floor",
    ),
)

BRACKET_HOLES = Family(
    name="bracket+wall_bracket",
    genus=2,
    body="""
difference() {
  cube([l, w, h]);
  translate([t, -1, t]) cube([l, w+2, h]);
  translate([(l+t)/2, w/2, -1]) cylinder(h=t+2, d=hole);
  translate([-1, w/2, (h+t)/2]) rotate([0, 90, 0]) cylinder(h=t+2, d=screw);
}""",
    draw=lambda random: _more(BRACKET, "screw", 3, 14, random),
    sensible=lambda v: (
        BRACKET.sensible(v) and v["hole"] != v["screw"] and v["screw"] <= 0.5 * min(v["w"], v["h"] - v["t"])
    ),
    known=(
        "An L-bracket {w} mm wide and {t} mm thick, foot {l} mm, upright {h} mm, with a {hole} mm hole in the foot and"
        " a {screw} mm hole in the upright.",
        "L bracket: foot {l}, height {h}, width {w}, thickness {t}; foot drilled {hole} mm, upright drilled {screw} mm",
    ),
)

HEX_PEG = Family(
    name="peg+hex_head",
    genus=0,
    body="""
union() {
  cylinder(h=k, d=head, $fn=6);
  translate([0, 0, k-1]) cylinder(h=l+1, d=d);
}""",
    draw=PEG.draw,
    sensible=PEG.sensible,
    known=(
        "A peg with a hexagonal head: head {head} mm across corners and {k} mm thick, pin {d} mm in diameter and {l} mm"
        " long.",
        "Hex-head peg, {d} mm pin, {l} mm long, on a hexagonal head {head} mm over the corners and {k} mm thick.",
    ),
)

SHAFT_BORE = Family(
    name="shaft+bore",
    genus=1,
    body="""
difference() {
  union() {
    cylinder(h=l1, d=d1);
    translate([0, 0, l1-1]) cylinder(h=l2+1, d=d2);
  }
  translate([0, 0, -1]) cylinder(h=l1+l2+2, d=bore);
}""",
    draw=lambda random: _more(SHAFT, "bore", 3, 30, random),
    sensible=lambda v: SHAFT.sensible(v) and 0.3 * v["d2"] <= v["bore"] <= 0.7 * v["d2"],
    known=(
        "A stepped shaft, {d1} mm diameter for {l1} mm, then {d2} mm for {l2} mm, with a {bore} mm bore right through.",
        "Stepped bushing: lower part {d1} x {l1}, upper part {d2} x {l2}, {bore} mm bore through both",
    ),
)

SLOTTED_DISC = Family(
    name="disc+slot",
    genus=1,
    body="""
difference() {
  cylinder(h=t, d=d);
  translate([0, 0, t/2]) cube([sl, sw, t+2], center=true);
}""",
    draw=_slotted_disc,
    sensible=_slotted_disc_is_sensible,
    known=(
        "A round disc {d} mm in diameter and {t} mm thick with a {sl} x {sw} mm slot in the middle.",
        "Slotted washer: outer diameter {d}, thickness {t}, central slot {sl} mm long and {sw} mm wide.",
    ),
)

BOSS_HOLE = Family(
    name="boss_plate+hole",
    genus=1,
    body="""
difference() {
  union() {
    cube([w, d, t]);
    translate([w/2, d/2, t-1]) cylinder(h=b+1, d=boss);
  }
  translate([w/2, d/2, -1]) cylinder(h=t+b+2, d=hole);
}""",
    draw=lambda random: _more(BOSS_PLATE, "hole", 3, 30, random),
    sensible=lambda v: BOSS_PLATE.sensible(v) and 0.3 * v["boss"] <= v["hole"] <= 0.7 * v["boss"],
    known=(
        "A {w} x {d} x {t} mm plate with a round boss in the middle, {boss} mm in diameter and {b} mm high, and a"
        " {hole} mm hole through both.",
        "Base {w} by {d}, {t} thick, with a centred boss, diameter {boss}, height {b}, drilled right through at"
        " {hole} mm.",
    ),
)

HEX_KNOB = Family(
    name="knob+hex_stem",
    genus=0,
    body="""
union() {
  cylinder(h=h, d=d, $fn=6);
  translate([0, 0, h]) sphere(d=ball);
}""",
    draw=KNOB.draw,
    sensible=KNOB.sensible,
    known=(
        "A ball knob: a {ball} mm ball on top of a hexagonal stem {d} mm across corners and {h} mm high.",
        "Knob with a hex stem, {d} mm over the corners and {h} mm tall, and a {ball} mm ball centred on its top.",
    ),
)

FAMILIES = (
    STRIP_HOLE,
    BOX_HOLE,
    CUP_HOLE,
    CHANNEL_HOLE,
    BRACKET_HOLES,
    HEX_PEG,
    SHAFT_BORE,
    SLOTTED_DISC,
    BOSS_HOLE,
    HEX_KNOB,
)
