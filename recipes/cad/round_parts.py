"""Families turned on a lathe: washers, tubes, cups, shafts, pegs, flanges, standoffs, knobs."""

from random import Random

from recipes.cad.parts import Family, drill, sheet, size

WASHER = Family(
    name="washer",
    genus=1,
    body="""
difference() {
  cylinder(h=t, d=d);
  translate([0, 0, -1]) cylinder(h=t+2, d=hole);
}""",
    draw=lambda random: {"d": size(random, 8, 80), "hole": drill(random, 3, 40), "t": sheet(random, 1.5, 5)},
    sensible=lambda v: 0.35 * v["d"] <= v["hole"] <= 0.65 * v["d"] and v["t"] <= v["d"] / 6,
    known=(
        "A washer, {d} mm outside, {hole} mm hole, {t} mm thick.",
        "Washer with outer diameter {d} mm, inner diameter {hole} mm and thickness {t} mm.",
        "flat washer, {d} outside, {hole} inside, {t} thick",
        "I need a {t} mm thick washer with a {hole} mm hole, {d} mm across.",
        "Ring washer: OD {d}, hole {hole}, thickness {t} mm.",
        "make a washer {d} mm in diameter, {t} mm thick, with a {hole} mm hole in its centre",
        "Washer {t} mm thick; hole {hole} mm, outside {d} mm.",
    ),
    fresh=(
        "Thin round shim, {d} mm overall, bored {hole} mm, {t} mm in thickness.",
        "penny washer please: inside {hole} mm, outside {d} mm, {t} mm sheet",
        "A flat ring {t} mm thick whose outer diameter is {d} mm and whose opening is {hole} mm.",
    ),
)

TUBE = Family(
    name="tube",
    genus=1,
    body="""
difference() {
  cylinder(h=l, d=d);
  translate([0, 0, -1]) cylinder(h=l+2, d=bore);
}""",
    draw=lambda random: {"d": size(random, 8, 80), "bore": drill(random, 3, 70), "l": size(random, 10, 160)},
    sensible=lambda v: 0.45 * v["d"] <= v["bore"] <= min(0.85 * v["d"], v["d"] - 3) and v["l"] >= 0.8 * v["d"],
    known=(
        "A tube {l} mm long, {d} mm outside diameter, {bore} mm bore.",
        "Bushing: outer diameter {d}, bore {bore}, length {l}.",
        "pipe, {l} long, {d} outside, {bore} inside",
        "I need a sleeve with a {bore} mm bore, {d} mm in outer diameter and {l} mm long.",
        "Round spacer, {d} mm across, {l} mm long, with a {bore} mm bore.",
        "make a bushing of length {l} mm, bore {bore} mm, outside {d} mm",
        "Tube with {d} mm OD and {bore} mm ID, {l} mm in length.",
    ),
    fresh=(
        "Hollow cylinder, {l} mm tall, {d} mm outer and {bore} mm inner diameter.",
        "distance sleeve for a shaft: through-hole {bore}, outside {d}, length {l} (mm)",
        "Please cut me some round pipe: {l} mm of it, external diameter {d} mm, internal diameter {bore} mm.",
    ),
)

CUP = Family(
    name="cup",
    genus=0,
    body="""
difference() {
  cylinder(h=h, d=d);
  translate([0, 0, t]) cylinder(h=h, d=d-2*t);
}""",
    draw=lambda random: {"d": size(random, 20, 110), "h": size(random, 12, 120), "t": sheet(random, 1.5, 5)},
    sensible=lambda v: 4 * v["t"] <= v["h"] <= 1.8 * v["d"] and v["t"] <= v["d"] / 10 and v["d"] != v["h"],
    known=(
        "A round cup, {d} mm in diameter and {h} mm high, with {t} mm walls.",
        "Cylindrical pot, open at the top: diameter {d}, height {h}, wall and floor {t} mm.",
        "cup {h} tall, {d} across, {t} mm thick walls and floor",
        "I need a round cup without a lid, {d} mm outside, {h} mm high, walls {t} mm.",
        "Round pot with {t} mm walls, outer diameter {d} mm, height {h} mm.",
        "make a round tray {d} mm across, {h} mm high and {t} mm thick all over",
    ),
    fresh=(
        "Beaker, {d} mm outer diameter by {h} mm, wall thickness {t} mm, closed at the bottom only.",
        "pencil holder: {h} high, {d} round, {t} walls",
        "Circular bin, open above: it stands {h} mm tall, measures {d} mm over the outside and is {t} mm thick.",
    ),
)

SHAFT = Family(
    name="shaft",
    genus=0,
    body="""
union() {
  cylinder(h=l1, d=d1);
  translate([0, 0, l1-1]) cylinder(h=l2+1, d=d2);
}""",
    draw=lambda random: {
        "d1": size(random, 8, 60),
        "l1": size(random, 8, 90),
        "d2": size(random, 5, 50),
        "l2": size(random, 8, 90),
    },
    sensible=lambda v: 0.4 * v["d1"] <= v["d2"] <= min(0.9 * v["d1"], v["d1"] - 2) and v["l1"] + v["l2"] >= v["d1"],
    known=(
        "A stepped shaft: {d1} mm diameter for {l1} mm, then {d2} mm for {l2} mm.",
        "Shaft in two steps, the first {d1} mm thick and {l1} mm long, the second {d2} mm thick and {l2} mm long.",
        "stepped shaft, lower part {d1} x {l1}, upper part {d2} x {l2}",
        "I need a shaft that is {d1} mm in diameter over the first {l1} mm and {d2} mm over the next {l2} mm.",
        "Turned shaft: large end {d1} diameter, {l1} long; small end {d2} diameter, {l2} long.",
        "make a two-step shaft, {l1} mm at {d1} mm diameter followed by {l2} mm at {d2} mm",
    ),
    fresh=(
        "Spindle in two diameters: it starts {d1} mm thick over a length of {l1} mm and goes down to {d2} mm for"
        " another"
        " {l2} mm.",
        "shoulder pin, bottom section dia. {d1}, length {l1}, top section dia. {d2}, length {l2}",
        "Round bar of {d1} mm, {l1} mm long, with a {d2} mm journal, {l2} mm long, on its end.",
    ),
)

PEG = Family(
    name="peg",
    genus=0,
    body="""
union() {
  cylinder(h=k, d=head);
  translate([0, 0, k-1]) cylinder(h=l+1, d=d);
}""",
    draw=lambda random: {
        "head": size(random, 8, 40),
        "k": sheet(random, 2, 8),
        "d": random.randint(3, 20),
        "l": size(random, 10, 80),
    },
    sensible=lambda v: 0.35 * v["head"] <= v["d"] <= 0.7 * v["head"] and v["k"] <= v["head"] / 3 and v["l"] > v["d"],
    known=(
        "A peg with a round head: head {head} mm wide and {k} mm thick, pin {d} mm in diameter and {l} mm long.",
        "Peg, {d} mm pin, {l} mm long, on a {head} mm head that is {k} mm thick.",
        "peg: head {head} diameter, {k} high, pin {d} diameter, {l} long",
        "I need a headed peg, the head {head} x {k} mm, the pin {d} x {l} mm.",
        "make a peg with a pin of {d} mm, {l} mm long, and a head of {head} mm, {k} mm thick",
        "Peg standing on its head, which is {head} mm across and {k} mm thick; the pin is {d} mm thick and {l} mm"
        " long.",
    ),
    fresh=(
        "Rivet shape: a disc {head} mm across and {k} mm thick carries a stem {d} mm thick and {l} mm long.",
        "plug, cap dia. {head}, cap thickness {k}, stem dia. {d}, stem length {l}",
        "Push pin whose flat top measures {head} mm by {k} mm and whose stalk is {l} mm long and {d} mm across.",
    ),
)


def _flange(random: Random) -> dict[str, float]:
    return {
        "d": size(random, 40, 120),
        "t": sheet(random, 3, 12),
        "bore": size(random, 8, 50),
        "bolt": drill(random, 3, 11),
        "c": size(random, 25, 105),
    }


FLANGE = Family(
    name="flange",
    genus=3,
    body="""
difference() {
  cylinder(h=t, d=d);
  translate([0, 0, -1]) cylinder(h=t+2, d=bore);
  translate([c/2, 0, -1]) cylinder(h=t+2, d=bolt);
  translate([-c/2, 0, -1]) cylinder(h=t+2, d=bolt);
}""",
    draw=_flange,
    sensible=lambda v: (
        v["bolt"] < v["bore"] <= 0.5 * v["d"]
        and v["c"] - v["bore"] >= 2 * v["bolt"]
        and v["d"] - v["c"] >= 2 * v["bolt"]
        and v["t"] <= v["d"] / 6
    ),
    known=(
        "A round flange {d} mm in diameter and {t} mm thick, {bore} mm bore, two {bolt} mm holes on a {c} mm circle.",
        "Flange: diameter {d}, thickness {t}, bore {bore}, two bolt holes of {bolt} mm, bolt circle {c} mm.",
        "flange {d} across, {t} thick, bore {bore}, 2 holes {bolt} mm on a {c} mm bolt circle",
        "I need a {t} mm thick flange, {d} mm outside, {bore} mm bore, with two {bolt} mm holes {c} mm apart.",
        "Disc flange with a {bore} mm bore and two {bolt} mm bolt holes on a {c} mm circle; {d} mm across, {t} mm"
        " thick.",
    ),
    fresh=(
        "Round pipe plate, {d} mm by {t} mm, opening {bore} mm, with a {bolt} mm bolt hole left and right, {c} mm"
        " between centres.",
        "coupling disc dia. {d}, {t} mm, centre hole {bore}, pair of {bolt} mm screw holes at pitch circle {c}",
    ),
)

STANDOFF = Family(
    name="standoff",
    genus=1,
    body="""
difference() {
  cylinder(h=h, d=d, $fn=6);
  translate([0, 0, -1]) cylinder(h=h+2, d=hole);
}""",
    draw=lambda random: {"d": random.randint(6, 40), "h": size(random, 5, 80), "hole": drill(random, 2.5, 20)},
    sensible=lambda v: 0.3 * v["d"] <= v["hole"] <= 0.6 * v["d"] and 0.5 * v["d"] <= v["h"] <= 6 * v["d"],
    known=(
        "A hex standoff {h} mm tall, {d} mm across corners, with a {hole} mm hole through it.",
        "Hexagonal spacer: {d} across corners, height {h}, hole {hole}.",
        "hex standoff, {d} mm over the corners, {h} mm high, {hole} mm hole",
        "I need a hexagonal standoff with a {hole} mm hole, {h} mm high and {d} mm corner to corner.",
        "make a hex spacer {h} mm long, {d} mm across the corners, drilled {hole} mm",
        "Six-sided standoff, height {h} mm, hole {hole} mm, {d} mm across corners.",
    ),
    fresh=(
        "Hex pillar for a circuit board: {h} mm in height, {d} mm from corner to corner, bored through at {hole} mm.",
        "nut blank, hexagon {d} over corners, {h} thick, clear hole {hole}",
        "Please draw a hexagonal column {d} mm wide at the corners and {h} mm tall that a {hole} mm rod passes"
        " through.",
    ),
)

KNOB = Family(
    name="knob",
    genus=0,
    body="""
union() {
  cylinder(h=h, d=d);
  translate([0, 0, h]) sphere(d=ball);
}""",
    draw=lambda random: {"d": random.randint(4, 25), "h": size(random, 12, 90), "ball": size(random, 10, 60)},
    sensible=lambda v: 1.4 * v["d"] <= v["ball"] <= 3.5 * v["d"] and 0.8 * v["ball"] <= v["h"] <= 3 * v["ball"],
    known=(
        "A ball knob: a {ball} mm ball on top of a stem {d} mm in diameter and {h} mm high.",
        "Knob with a stem {d} mm thick and {h} mm tall and a ball of {ball} mm centred on its top.",
        "ball knob, stem {d} x {h}, ball {ball}",
        "I need a knob: stem diameter {d} mm, stem height {h} mm, ball diameter {ball} mm.",
        "make a {h} mm high stem of {d} mm with a {ball} mm ball on the end",
        "Round stem, {d} mm across, {h} mm long, with a {ball} mm ball at the top end.",
    ),
    fresh=(
        "Gear lever handle: a sphere {ball} mm across sits on the tip of a post {d} mm thick and {h} mm tall.",
        "pawn-like shape, rod dia. {d}, rod length {h}, sphere dia. {ball} at the tip",
        "Drawer pull made of a {d} mm rod, {h} mm in length, that carries a sphere of {ball} mm.",
    ),
)

FAMILIES = (WASHER, TUBE, CUP, SHAFT, PEG, FLANGE, STANDOFF, KNOB)
