"""What a part must keep, checked by arithmetic on its primitives: millimetres, `faults` empty where all is well.

1. No two faces coincide: parallel faces that lie over each other are at least `GAP` apart.
2. The wall of a hole or boss stays at least `WALL` from every edge and every other hole.
3. A hole passes through: beyond both of its ends there is no material.
4. Parts of a union overlap by at least `GAP`.
5. Nothing is thinner than `WALL`, and every length is positive.
"""

import math
from itertools import combinations

from recipes.cad.solid import Leaf, Node, Point, contains, leaves

GAP = 0.5
WALL = 1.0
_EPSILON = 1e-9


def faults(solid: Node | Leaf) -> list[str]:
    """One sentence for each rule that the solid breaks."""
    found = list(leaves(solid))
    problems = [f"{leaf.shape} thinner than {WALL}" for leaf, _ in found if _thinnest(leaf) < WALL - _EPSILON]
    for (a, role_a), (b, role_b) in combinations(found, 2):
        if _faces_too_near(a, b):
            problems.append(f"faces of {role_a} {a.shape} and {role_b} {b.shape} are nearer than {GAP}")
        if "limit" not in (role_a, role_b):
            for x, role_x, y, role_y in ((a, role_a, b, role_b), (b, role_b, a, role_a)):
                if _edges_too_near(x, role_x, y, role_y):
                    problems.append(f"{role_x} {x.shape} crosses or nears {role_y} {y.shape}")
    problems += [
        f"{leaf.shape} ends inside the material" for leaf, role in found if role == "cut" and _blind(leaf, solid)
    ]
    return problems + _loose(solid)


def _thinnest(leaf: Leaf) -> float:
    return min(high - low for low, high in zip(leaf.low, leaf.high, strict=True))


def _overlap(a: Leaf, b: Leaf, axis: int) -> float:
    """How much of an axis both cover; negative where they are apart."""
    return min(a.high[axis], b.high[axis]) - max(a.low[axis], b.low[axis])


def _flat_axes(leaf: Leaf) -> tuple[int, ...]:
    return {"cube": (0, 1, 2), "cylinder": (leaf.axis,), "sphere": ()}[leaf.shape]


def _faces_too_near(a: Leaf, b: Leaf) -> bool:
    for axis in set(_flat_axes(a)) & set(_flat_axes(b)):
        if any(_overlap(a, b, other) <= _EPSILON for other in range(3) if other != axis):
            continue
        ends_a, ends_b = (a.low[axis], a.high[axis]), (b.low[axis], b.high[axis])
        if any(abs(x - y) < GAP - _EPSILON for x in ends_a for y in ends_b):
            return True
    return False


def _edges_too_near(round_part: Leaf, role: str, other: Leaf, other_role: str) -> bool:
    """Whether a cylinder's wall, seen along its axis, is neither clearly inside another part's outline nor clearly
    around nor beside it. A cut around material would leave nothing of it, so that is no way out."""
    axis = round_part.axis
    if round_part.shape != "cylinder" or other.shape == "sphere" or _overlap(round_part, other, axis) <= _EPSILON:
        return False
    plane = [i for i in range(3) if i != axis]
    centre = [round_part.centre[i] for i in plane]
    outer = round_part.high[plane[0]] - centre[0]  # of the circle around it
    if other.shape == "cylinder" and other.axis == axis:
        between = math.dist(centre, [other.centre[i] for i in plane])
        other_outer = other.high[plane[0]] - other.centre[plane[0]]
        beside = between - outer - other_outer
        inside = other.radius - outer - between
        around = round_part.radius - other_outer - between
    else:
        gaps = [c - outer - other.low[i] for i, c in zip(plane, centre, strict=True)]
        gaps += [other.high[i] - c - outer for i, c in zip(plane, centre, strict=True)]
        beside = max(-gap - 2 * outer for gap in gaps)
        inside = min(gaps)
        (left, right), (front, back) = ((other.low[i], other.high[i]) for i in plane)
        around = round_part.radius - max(math.dist((x, y), centre) for x in (left, right) for y in (front, back))
    ways = [beside]
    ways += [inside] if (role, other_role) != ("body", "cut") else []
    ways += [around] if (role, other_role) != ("cut", "body") else []
    return max(ways) < WALL - _EPSILON


def _blind(leaf: Leaf, solid: Node | Leaf) -> bool:
    """Whether a cut has no open end: a hole needs two, a pocket or a step one."""
    open_ends = 0
    for axis in _flat_axes(leaf):
        for end, outward in ((leaf.low[axis], -GAP / 2), (leaf.high[axis], GAP / 2)):
            point = list(leaf.centre)
            point[axis] = end + outward
            open_ends += not contains(solid, (point[0], point[1], point[2]))
    floor_is_meant = leaf.shape == "cylinder" and _is_pocket(leaf, solid)
    return open_ends < (1 if leaf.shape == "cube" or floor_is_meant else 2)


def _is_pocket(leaf: Leaf, solid: Node | Leaf) -> bool:
    """A cut that starts above the lowest face of the body and leaves by its top, like the inside of a cup."""
    bottom = min(body.low[2] for body, role in leaves(solid) if role == "body")
    return leaf.axis == 2 and leaf.low[2] >= bottom + WALL


def _loose(solid: Node | Leaf) -> list[str]:
    if isinstance(solid, Leaf):
        return []
    problems = [problem for part in solid.parts for problem in _loose(part)]
    if solid.operation == "union":
        boxes = [_bounds(part) for part in solid.parts]
        for (low_a, high_a), (low_b, high_b) in combinations(boxes, 2):
            shared = min(min(high_a[i], high_b[i]) - max(low_a[i], low_b[i]) for i in range(3))
            if shared < GAP - _EPSILON:
                problems.append(f"parts of a union overlap by {shared:g}, less than {GAP}")
    return problems


def _bounds(part: Node | Leaf) -> tuple[Point, Point]:
    found = [leaf for leaf, role in leaves(part) if role == "body"]
    x0, y0, z0 = (min(leaf.low[i] for leaf in found) for i in range(3))
    x1, y1, z1 = (max(leaf.high[i] for leaf in found) for i in range(3))
    return (x0, y0, z0), (x1, y1, z1)
