"""Families with one cross-section along a length: brackets, channel, tee, and a rod with flats."""

from random import Random

from recipes.cad.parts import Family, drill, sheet, size


def _bracket(random: Random, hole: str) -> dict[str, float]:
    return {
        "l": size(random, 20, 90),
        "w": size(random, 12, 60),
        "h": size(random, 20, 100),
        "t": sheet(random, 2, 8),
        hole: drill(random, 3, 14),
    }


BRACKET = Family(
    name="bracket",
    genus=1,
    body="""
difference() {
  cube([l, w, h]);
  translate([t, -1, t]) cube([l, w+2, h]);
  translate([(l+t)/2, w/2, -1]) cylinder(h=t+2, d=hole);
}""",
    draw=lambda random: _bracket(random, "hole"),
    sensible=lambda v: (
        v["l"] != v["h"] and v["hole"] <= 0.5 * min(v["w"], v["l"] - v["t"]) and v["t"] <= min(v["l"], v["h"]) / 5
    ),
    known=(
        "An L-bracket {w} mm wide and {t} mm thick, foot {l} mm long, upright {h} mm high, with a {hole} mm hole in the"
        " foot.",
        "L bracket: foot {l}, height {h}, width {w}, thickness {t}, {hole} mm hole in the middle of the foot.",
        "angle bracket, foot {l} mm, upright {h} mm, {w} mm wide, {t} mm thick, foot drilled {hole} mm",
        "I need a {t} mm thick bracket, {h} mm high and {w} mm wide, with a {l} mm foot that has a {hole} mm hole.",
        "Bracket with a {l} x {w} mm foot and a {h} mm upright, {t} mm thick, one {hole} mm hole through the foot.",
        "make an L-bracket {l} long, {w} wide and {h} high from {t} mm material with a {hole} mm hole in its foot",
    ),
    fresh=(
        "Right-angle bracket of {t} mm plate, {w} mm wide: foot {l} mm, back {h} mm, one {hole} mm screw hole centred"
        " in the foot.",
        "{w} mm wide corner bracket, {t} mm stock, {h} mm tall; its {l} mm foot takes one {hole} mm bolt",
        "Shelf support, L-shaped: {l} mm along the floor, {h} mm up, {w} mm wide, {t} mm thick; drill the floor side"
        " {hole} mm.",
    ),
)

WALL_BRACKET = Family(
    name="wall_bracket",
    genus=1,
    body="""
difference() {
  cube([l, w, h]);
  translate([t, -1, t]) cube([l, w+2, h]);
  translate([-1, w/2, (h+t)/2]) rotate([0, 90, 0]) cylinder(h=t+2, d=screw);
}""",
    draw=lambda random: _bracket(random, "screw"),
    sensible=lambda v: (
        v["l"] != v["h"] and v["screw"] <= 0.5 * min(v["w"], v["h"] - v["t"]) and v["t"] <= min(v["l"], v["h"]) / 5
    ),
    known=(
        "An L-bracket {w} mm wide and {t} mm thick, foot {l} mm long, upright {h} mm high, with a {screw} mm hole in"
        " the upright.",
        "L bracket: foot {l}, height {h}, width {w}, thickness {t}, {screw} mm hole in the middle of the upright.",
        "wall bracket, foot {l} mm, upright {h} mm, {w} mm wide, {t} mm thick, upright drilled {screw} mm",
        "I need a {t} mm thick bracket {w} mm wide, with a {l} mm foot and a {h} mm upright that has a {screw} mm"
        " hole.",
        "Bracket with a {l} x {w} mm foot and a {h} mm upright, {t} mm thick, one {screw} mm hole through the upright.",
        "make an L-bracket {l} long, {w} wide and {h} high from {t} mm material with a {screw} mm hole in its upright",
    ),
    fresh=(
        "Right-angle bracket of {t} mm plate, {w} mm wide: foot {l} mm, back {h} mm, one {screw} mm screw hole centred"
        " in the back.",
        "{w} mm wide hanging bracket, {t} mm stock, {l} mm foot; its {h} mm upright takes one {screw} mm bolt",
        "Shelf support, L-shaped: {l} mm along the floor, {h} mm up, {w} mm wide, {t} mm thick; drill the standing side"
        " {screw} mm.",
    ),
)


def _profile(random: Random) -> dict[str, float]:
    return {
        "l": size(random, 40, 200),
        "w": size(random, 15, 80),
        "h": size(random, 12, 70),
        "t": sheet(random, 1.5, 6),
    }


CHANNEL = Family(
    name="channel",
    genus=0,
    body="""
difference() {
  cube([l, w, h]);
  translate([-1, t, t]) cube([l+2, w-2*t, h]);
}""",
    draw=_profile,
    sensible=lambda v: v["l"] > v["w"] and v["w"] != v["h"] and v["t"] <= min(v["w"], v["h"]) / 6,
    known=(
        "A U-channel {l} mm long, {w} mm wide and {h} mm high, wall thickness {t} mm.",
        "U profile, length {l}, width {w}, height {h}, {t} mm thick",
        "Channel {l} x {w} x {h} mm, open at the top and at both ends, {t} mm walls.",
        "I need {l} mm of U-channel, {w} mm wide and {h} mm high, with {t} mm walls.",
        "make a u-channel with walls of {t} mm: {w} wide, {h} high, {l} long",
        "U-shaped profile of {t} mm material, outer width {w} mm, height {h} mm, length {l} mm.",
    ),
    fresh=(
        "Cable duct without a cover, {l} mm in length, {w} mm across, {h} mm tall, sides and floor {t} mm.",
        "gutter section: {w} mm broad, {h} mm tall, {t} mm thick all over, {l} mm long",
        "Please extrude a U cross-section, {w} by {h} mm and {t} mm thick, over a length of {l} mm.",
    ),
)

TEE = Family(
    name="tee",
    genus=0,
    body="""
difference() {
  cube([l, w, h]);
  translate([-1, -(w+t)/2, t]) cube([l+2, w, h]);
  translate([-1, (w+t)/2, t]) cube([l+2, w, h]);
}""",
    draw=_profile,
    sensible=lambda v: v["l"] > v["w"] and v["w"] != v["h"] and v["t"] <= min(v["w"], v["h"]) / 5,
    known=(
        "A T-profile {l} mm long, flange {w} mm wide, {h} mm high, {t} mm thick.",
        "T-bar standing on its flange: length {l}, width {w}, height {h}, thickness {t}.",
        "I need {l} mm of T-section, {w} mm wide and {h} mm high, flange and web {t} mm thick.",
        "t-profile, {w} wide, {h} high, {t} thick, {l} long",
        "Upside-down T, {h} mm high with a {w} mm flange, {t} mm thick, {l} mm long.",
        "T profile of {t} mm material, length {l} mm, height {h} mm, flange width {w} mm.",
    ),
    fresh=(
        "Tee section rail: {l} mm in length, base {w} mm across, overall height {h} mm, everything {t} mm thick.",
        "a {l} mm bar shaped like an inverted T, {w} mm broad at the bottom, {h} mm tall, made of {t} mm sheet",
        "Please extrude a T cross-section, {w} by {h} mm and {t} mm thick, over a length of {l} mm.",
    ),
)


def _flats(random: Random) -> dict[str, float]:
    return {"d": size(random, 8, 50), "l": size(random, 20, 150), "f": random.randint(6, 44)}


FLAT_ROD = Family(
    name="flat_rod",
    genus=0,
    body="""
intersection() {
  cylinder(h=l, d=d, center=true);
  cube([f, d+2, l+2], center=true);
}""",
    draw=_flats,
    sensible=lambda v: 0.65 * v["d"] <= v["f"] <= min(0.92 * v["d"], v["d"] - 1) and v["l"] >= 1.5 * v["d"],
    known=(
        "A round rod {d} mm in diameter and {l} mm long with two flats, {f} mm across the flats.",
        "Rod with flats on two sides: diameter {d}, length {l}, {f} across flats.",
        "double-d rod, {d} mm round, {f} mm between the flats, {l} mm long",
        "I need a {l} mm long rod of {d} mm with both sides flattened to {f} mm.",
        "make a {d} mm shaft {l} mm long with two opposite flats, {f} mm apart",
        "Shaft of length {l} mm, {d} mm thick, with two parallel flats {f} mm apart.",
    ),
    fresh=(
        "Take round bar, {d} mm by {l} mm, and mill it on two opposite sides until {f} mm is left.",
        "axle {l} long, dia. {d}, spanner flats {f} mm over the full length",
        "Please draw a {d} mm cylinder, {l} mm in length, flattened on the left and right to a width of {f} mm.",
    ),
)

FAMILIES = (BRACKET, WALL_BRACKET, CHANNEL, TEE, FLAT_ROD)
