"""Families cut from plates and blocks: plates, strips, frames, boxes."""

from random import Random

from recipes.cad.parts import Family, drill, sheet, size


def _plate(random: Random) -> dict[str, float]:
    return {"w": size(random, 25, 140), "d": size(random, 20, 100), "t": sheet(random), "hole": drill(random, 3, 40)}


PLATE = Family(
    name="plate",
    genus=1,
    body="""
difference() {
  cube([w, d, t]);
  translate([w/2, d/2, -1]) cylinder(h=t+2, d=hole);
}""",
    draw=_plate,
    sensible=lambda v: v["w"] != v["d"] and v["hole"] <= 0.6 * min(v["w"], v["d"]) and v["t"] <= v["d"] / 4,
    known=(
        "A {w} x {d} x {t} mm plate with a {hole} mm hole in the middle.",
        "Plate, {w} mm by {d} mm, {t} mm thick, {hole} mm hole through the centre.",
        "make a flat plate {w} wide and {d} deep, thickness {t}, with one {hole} mm hole in the center",
        "I need a {t} mm thick plate measuring {w} by {d} mm, with a {hole} mm hole in the middle.",
        "Rectangular plate with a central hole of {hole} mm; size {w} x {d} mm, {t} mm thick.",
        "Drill a {hole} mm hole through the middle of a plate {w} mm wide, {d} mm deep and {t} mm thick.",
        "{w}x{d} plate, {t} thick, {hole} hole in the centre, all in mm",
    ),
    fresh=(
        "Could you draw a flat sheet {w} mm across, {d} mm deep and {t} mm thick, pierced at its centre by a {hole} mm"
        " bore?",
        "panel: width {w}, depth {d}, thickness {t}; centre hole dia. {hole}",
        "Give me a {t} mm slab, {w} by {d}, and put a {hole} mm round opening right in the middle.",
    ),
)


def _strip(random: Random) -> dict[str, float]:
    return {
        "l": size(random, 50, 200),
        "w": size(random, 12, 50),
        "t": sheet(random, 2, 8),
        "bolt": drill(random, 3, 14),
        "e": random.randint(6, 30),
    }


STRIP = Family(
    name="strip",
    genus=2,
    body="""
difference() {
  cube([l, w, t]);
  translate([e, w/2, -1]) cylinder(h=t+2, d=bolt);
  translate([l-e, w/2, -1]) cylinder(h=t+2, d=bolt);
}""",
    draw=_strip,
    sensible=lambda v: (
        v["l"] >= 2 * v["w"]
        and v["bolt"] <= 0.5 * v["w"]
        and v["t"] <= v["w"] / 3
        and v["bolt"] <= v["e"] <= v["l"] / 4
    ),
    known=(
        "A strip {l} mm long, {w} mm wide and {t} mm thick with a {bolt} mm hole {e} mm from each end.",
        "Flat bar {l} x {w} x {t} mm, two {bolt} mm holes on the centre line, {e} mm in from the ends.",
        "make a {t} mm thick strap, {l} by {w}, with a {bolt} mm hole {e} mm from either end",
        "Mounting strip: length {l}, width {w}, thickness {t}, two holes of {bolt} mm set {e} mm from the ends.",
        "I want a flat bar {l} mm long, {w} mm wide and {t} mm thick, with {bolt} mm holes {e} mm from both ends.",
        "Two {bolt} mm holes, each {e} mm from an end, in a {l} x {w} mm strip, {t} mm thick.",
        "link plate, {l} long, {w} wide, {t} thick, hole at each end {bolt} mm, {e} mm in",
    ),
    fresh=(
        "Please model a joining bar {l} mm in length, {w} mm across and {t} mm thick, bored {bolt} mm at {e} mm from"
        " its left and right ends.",
        "bar of {t} mm stock: {l} mm by {w} mm, one {bolt} mm hole near each end ({e} mm to the hole centre)",
        "Tie strap, {w} wide, {l} long and {t} thick; drill it twice, {bolt} mm, {e} mm away from the ends.",
    ),
)


def _corner_plate(random: Random) -> dict[str, float]:
    return {
        "w": size(random, 40, 160),
        "d": size(random, 30, 120),
        "t": sheet(random, 2, 8),
        "bolt": drill(random, 3, 9),
        "e": random.randint(5, 15),
    }


CORNER_PLATE = Family(
    name="corner_plate",
    genus=4,
    body="""
difference() {
  cube([w, d, t]);
  translate([e, e, -1]) cylinder(h=t+2, d=bolt);
  translate([w-e, e, -1]) cylinder(h=t+2, d=bolt);
  translate([e, d-e, -1]) cylinder(h=t+2, d=bolt);
  translate([w-e, d-e, -1]) cylinder(h=t+2, d=bolt);
}""",
    draw=_corner_plate,
    sensible=lambda v: v["w"] > v["d"] and v["bolt"] <= v["e"] <= v["d"] / 4 and v["t"] <= v["d"] / 6,
    known=(
        "A {w} x {d} x {t} mm plate with four {bolt} mm holes at the corners, {e} mm in from the edges.",
        "Plate {w} by {d} mm and {t} mm thick, a {bolt} mm hole in each corner, {e} mm from the edges.",
        "mounting plate {w}x{d}, {t} thick, four corner holes of {bolt} mm, {e} mm from the sides",
        "I need a cover plate, {t} mm thick, {w} x {d} mm, with {bolt} mm screw holes in all four corners, {e} mm in.",
        "Base plate: width {w}, depth {d}, thickness {t}, four corner holes {bolt} mm, edge distance {e} mm.",
    ),
    fresh=(
        "Rectangular panel, {w} by {d} by {t} mm, screwed down at its corners: {bolt} mm holes, centres {e} mm inside.",
        "lid, {t} mm, {w} by {d}, every corner drilled {bolt} mm at {e} mm from both edges",
    ),
)


def _slotted(random: Random) -> dict[str, float]:
    return {
        "w": size(random, 40, 150),
        "d": size(random, 20, 90),
        "t": sheet(random, 2, 8),
        "sl": size(random, 12, 90),
        "sw": random.randint(3, 20),
    }


SLOTTED_PLATE = Family(
    name="slotted_plate",
    genus=1,
    body="""
difference() {
  cube([w, d, t]);
  translate([w/2, d/2, t/2]) cube([sl, sw, t+2], center=true);
}""",
    draw=_slotted,
    sensible=lambda v: (
        v["w"] > v["d"] and 2 * v["sw"] <= v["sl"] <= 0.75 * v["w"] and v["sw"] <= 0.4 * v["d"] and v["t"] <= v["d"] / 4
    ),
    known=(
        "A {w} x {d} x {t} mm plate with a {sl} x {sw} mm slot in the middle.",
        "Plate {w} mm wide, {d} mm deep and {t} mm thick, with a central slot {sl} mm long and {sw} mm wide.",
        "slotted plate, {w} by {d}, {t} thick, slot {sl} by {sw} in the center",
        "I need a {t} mm plate, {w} x {d} mm, with a slot {sw} mm wide and {sl} mm long in its centre.",
        "Cut a slot of {sl} x {sw} mm through the middle of a {w} x {d} mm plate, thickness {t} mm.",
        "Plate with centred slot: width {w}, depth {d}, thickness {t}, slot length {sl}, slot width {sw}.",
        "make a {w}x{d}x{t} plate and mill a {sw} mm wide, {sl} mm long slot in the centre",
    ),
    fresh=(
        "Guide panel of {t} mm: {w} mm across, {d} mm deep; a rectangular opening {sl} mm by {sw} mm at its centre.",
        "Please give me a flat piece {w} by {d} by {t} millimetres that has one straight slit in the middle, {sl} mm"
        " in length and {sw} mm in width.",
        "coin slot cover: {w} wide, {d} deep, {t} thick; the slot is {sl} long and {sw} wide, centred",
    ),
)


def _frame(random: Random) -> dict[str, float]:
    return {
        "w": size(random, 40, 200),
        "d": size(random, 30, 150),
        "t": sheet(random, 2, 12),
        "b": random.randint(4, 25),
    }


FRAME = Family(
    name="frame",
    genus=1,
    body="""
difference() {
  cube([w, d, t]);
  translate([b, b, -1]) cube([w-2*b, d-2*b, t+2]);
}""",
    draw=_frame,
    sensible=lambda v: v["w"] > v["d"] and v["d"] / 12 <= v["b"] <= v["d"] / 4 and v["t"] <= 2 * v["b"],
    known=(
        "A rectangular frame, {w} x {d} mm outside, {t} mm thick, with a border of {b} mm.",
        "Frame {w} mm wide and {d} mm deep, {b} mm border, {t} mm thick.",
        "picture frame {w} by {d}, border {b}, thickness {t}",
        "I'd like a flat frame with a {b} mm rim all round, outside size {w} x {d} mm, thickness {t} mm.",
        "Open frame: outer width {w}, outer depth {d}, rim {b}, thickness {t}, in mm.",
        "make a {t} mm thick frame, {w} x {d} outside, with sides {b} mm wide",
        "A {b} mm wide border around an open middle: {w} by {d} mm overall, {t} mm thick.",
    ),
    fresh=(
        "Window surround, outside {w} by {d} mm, each bar {b} mm broad, {t} mm thick.",
        "Take a {w} x {d} x {t} mm sheet and cut out the inside so that {b} mm is left on every side.",
        "bezel, {t} mm, total size {w} mm by {d} mm, {b} mm of material around the opening",
    ),
)


def _boss_plate(random: Random) -> dict[str, float]:
    return {
        "w": size(random, 30, 120),
        "d": size(random, 25, 90),
        "t": sheet(random, 2, 10),
        "boss": size(random, 8, 50),
        "b": size(random, 4, 35),
    }


BOSS_PLATE = Family(
    name="boss_plate",
    genus=0,
    body="""
union() {
  cube([w, d, t]);
  translate([w/2, d/2, t-1]) cylinder(h=b+1, d=boss);
}""",
    draw=_boss_plate,
    sensible=lambda v: (
        v["w"] > v["d"] and v["boss"] <= 0.7 * v["d"] and v["b"] <= 2 * v["boss"] and v["t"] <= v["d"] / 4
    ),
    known=(
        "A {w} x {d} x {t} mm plate with a round boss in the middle, {boss} mm in diameter and {b} mm high.",
        "Plate {w} by {d} mm, {t} mm thick, with a {boss} mm boss that rises {b} mm from the centre.",
        "base {w}x{d}, thickness {t}, with a boss in the center, diameter {boss}, height {b}",
        "Put a boss {boss} mm in diameter and {b} mm high on the middle of a {w} x {d} mm plate, {t} mm thick.",
        "I need a {t} mm plate, {w} mm wide and {d} mm deep, with a {b} mm high boss, {boss} mm across, on its centre.",
        "Plate with boss: width {w}, depth {d}, thickness {t}, boss diameter {boss}, boss height {b}.",
        "make a {w} by {d} by {t} plate and add a round boss on top, {b} high, {boss} in diameter",
    ),
    fresh=(
        "Foot plate of {w} mm by {d} mm by {t} mm; a round stud, {boss} mm across, stands {b} mm tall at its centre.",
        "Model a {t} mm slab, {w} wide and {d} deep, and raise a {boss} mm round pad {b} mm above its middle.",
        "stand: plate {w} by {d} by {t}, centre post dia. {boss}, {b} above the plate",
    ),
)


def _box(random: Random) -> dict[str, float]:
    return {
        "w": size(random, 30, 150),
        "d": size(random, 25, 120),
        "h": size(random, 12, 90),
        "t": sheet(random, 1.5, 5),
    }


BOX = Family(
    name="box",
    genus=0,
    body="""
difference() {
  cube([w, d, h]);
  translate([t, t, t]) cube([w-2*t, d-2*t, h]);
}""",
    draw=_box,
    sensible=lambda v: v["w"] > v["d"] and 4 * v["t"] <= v["h"] <= 1.5 * v["d"] and v["t"] <= v["d"] / 10,
    known=(
        "An open box, {w} x {d} x {h} mm outside, walls {t} mm thick.",
        "Box without a lid, {w} mm wide, {d} mm deep, {h} mm high, wall thickness {t} mm.",
        "small tray {w} by {d} by {h}, open at the top, {t} mm walls and floor",
        "I need a box with {t} mm walls, {w} mm wide, {d} mm deep and {h} mm tall, open on top.",
        "Open-top box: width {w}, depth {d}, height {h}, wall {t} (mm).",
        "make a box {h} high on a {w} x {d} footprint, no lid, walls and floor {t}",
        "A tray {h} mm high with {t} mm walls; its outside is {w} by {d} mm.",
    ),
    fresh=(
        "Hollow container with no top, measuring {w} by {d} mm and {h} mm in height, made of {t} mm material.",
        "drawer insert, outside {w} wide, {d} deep, {h} high; everything {t} mm thick; nothing on top",
        "Please design a rectangular bin for screws: {w} mm x {d} mm, {h} mm tall, sides and base {t} mm.",
    ),
)

FAMILIES = (PLATE, STRIP, CORNER_PLATE, SLOTTED_PLATE, FRAME, BOSS_PLATE, BOX)
