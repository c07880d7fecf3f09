"""A solid as a small isometric picture: flat shades, edges only where faces meet at an angle, its size in mm below.

Faces are drawn from back to front. Which face hides which is read from a small depth buffer: at every point of it, the
front face is drawn after all others that cover the point. Hidden faces are left out. The same solid gives the same
bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from manifold3d import Manifold
from numpy.typing import NDArray

SIZE, MARGIN, LABEL = 160, 6, 16  # of the picture, in its own units
BUFFER = 128  # points across the depth buffer
CREASE = np.cos(np.radians(25.0))  # faces that meet at a larger angle have an edge
FLAT = np.cos(np.radians(0.1))  # triangles that meet at a smaller one are one face
DARK, LIGHT = np.array([30, 78, 121]), np.array([163, 205, 238])  # a blue that reads on white and on black
EDGE, TEXT = "#0b2a45", "#6e7f8d"
SUN = np.array([0.12, -0.55, 0.83])  # direction to the light: the three sides of a box differ clearly

# Seen from x = -y = z: x runs to the lower right, y to the upper right, z up.
_RIGHT = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
_UP = np.array([-1.0, 1.0, 2.0]) / np.sqrt(6)
_TOWARDS = np.array([1.0, -1.0, 1.0]) / np.sqrt(3)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Face:
    """Triangles of one plane that hang together. `outline`: directed edges around it; `edges`: those that are drawn."""

    triangles: list[int]
    outline: list[Edge]
    edges: list[Edge]
    colour: str


def svg(solid: Manifold) -> str:
    """The picture of a solid that is not empty."""
    mesh = solid.to_mesh64()
    points: Floats = np.asarray(mesh.vert_properties)[:, :3]
    triangles: Ints = np.asarray(mesh.tri_verts).astype(np.int64)
    corners = points[triangles]
    raw = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(raw, axis=1)
    normals = raw / np.where(area > 0, area, 1)[:, None]
    low, high = points.min(axis=0), points.max(axis=0)
    flat = _fitted(np.stack([points @ _RIGHT, -(points @ _UP)], axis=1))
    faces = _faces(triangles, normals)
    order = _back_to_front(faces, flat[triangles], (points @ _TOWARDS)[triangles])
    drawn = "".join(_drawn(faces[i], flat) for i in order)
    size = " × ".join(map(_said, high - low))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img"><title>{size} mm</title>'
        f'<g stroke-linejoin="round" stroke-linecap="round" stroke-width=".7">{drawn}</g>'
        f'<text x="{SIZE // 2}" y="{SIZE - 4}" font-family="system-ui,sans-serif" font-size="10.5" '
        f'text-anchor="middle" fill="{TEXT}">{size} mm</text></svg>'
    )


def _said(length: float) -> str:
    """A length as the label gives it, to 0.5 mm (0.1 under 10): the facets of a ball make it a little smaller."""
    return f"{round(2 * length) / 2 if length >= 10 else round(length, 1):g}"


def _fitted(flat: Floats) -> Floats:
    """Projected points moved and scaled into the picture, above its label."""
    low, high = flat.min(axis=0), flat.max(axis=0)
    room = np.array([SIZE - 2 * MARGIN, SIZE - 2 * MARGIN - LABEL])
    scale = (room / np.maximum(high - low, 1e-9)).min()
    moved: Floats = (flat - (low + high) / 2) * scale + MARGIN + room / 2
    return moved


def _faces(triangles: Ints, normals: Floats) -> list[_Face]:
    """Faces that look towards the eye."""
    beside = {(int(a), int(b)): i for i, t in enumerate(triangles) for a, b in zip(t, np.roll(t, -1), strict=True)}
    front = normals @ _TOWARDS > 1e-6
    group = [-1] * len(triangles)
    faces: list[_Face] = []
    for first in range(len(triangles)):
        if not front[first] or group[first] >= 0:
            continue
        members, waiting = [], [first]
        group[first] = len(faces)
        while waiting:
            at = waiting.pop()
            members.append(at)
            for a, b in _around(triangles[at]):
                other = beside[b, a]
                if group[other] < 0 and front[other] and normals[at] @ normals[other] > FLAT:
                    group[other] = len(faces)
                    waiting.append(other)
        outline = [e for t in members for e in _around(triangles[t]) if group[beside[e[::-1]]] != len(faces)]
        edges = [e for e in outline if normals[beside[e]] @ normals[beside[e[::-1]]] < CREASE]
        edges += [e for e in outline if not front[beside[e[::-1]]] and e not in edges]
        faces.append(_Face(members, outline, edges, _shade(normals[first])))
    return faces


def _around(triangle: Iterable[int]) -> list[Edge]:
    a, b, c = (int(i) for i in triangle)
    return [(a, b), (b, c), (c, a)]


def _shade(normal: Floats) -> str:
    light = max(0.0, float(normal @ SUN))
    red, green, blue = (DARK + (LIGHT - DARK) * (0.1 + 0.95 * light)).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _back_to_front(faces: Sequence[_Face], flat: Floats, depth: Floats) -> list[int]:
    """Faces that are seen somewhere, each after those that it hides."""
    covered = [_cover([(flat[t], depth[t]) for t in face.triangles]) for face in faces]
    front = np.full((BUFFER, BUFFER), -1)
    nearest = np.full((BUFFER, BUFFER), -np.inf)
    for i, cover in enumerate(covered):
        closer = cover > nearest + 1e-9
        front[closer], nearest[closer] = i, cover[closer]
    hides: dict[int, set[int]] = {int(i): set() for i in np.unique(front) if i >= 0}
    for i in hides:
        for j in np.unique(front[np.isfinite(covered[i])]):
            if j >= 0 and j != i:
                hides[int(j)].add(i)
    distance = {i: float(np.mean(depth[faces[i].triangles])) for i in hides}
    return _sorted(hides, distance)


def _cover(triangles: Iterable[tuple[Floats, Floats]]) -> Floats:
    """Depth of a face at every point of the buffer, -inf where it is not."""
    found = np.full((BUFFER, BUFFER), -np.inf)
    step = SIZE / BUFFER
    for corners, depth in triangles:
        (x0, y0), (x1, y1), (x2, y2) = corners
        whole = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(whole) < 1e-9:
            continue
        low = np.maximum(0, np.floor(corners.min(axis=0) / step).astype(int))
        high = np.minimum(BUFFER, np.ceil(corners.max(axis=0) / step).astype(int) + 1)
        y, x = (np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5) * step
        b = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) / whole
        c = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / whole
        inside = (b >= 0) & (c >= 0) & (b + c <= 1)
        here = found[low[1] : high[1], low[0] : high[0]]
        here[inside] = np.maximum(here, depth[0] + b * (depth[1] - depth[0]) + c * (depth[2] - depth[0]))[inside]
    return found


def _sorted(hides: Mapping[int, set[int]], distance: Mapping[int, float]) -> list[int]:
    """Each after those that it hides; among those that may come next, and where they hide each other, the farthest."""
    left = {i: set(hidden) for i, hidden in hides.items()}
    order: list[int] = []
    while left:
        free = [i for i, hidden in left.items() if not hidden] or list(left)
        chosen = min(free, key=lambda i: (distance[i], i))
        order.append(chosen)
        del left[chosen]
        for hidden in left.values():
            hidden.discard(chosen)
    return order


def _drawn(face: _Face, flat: Floats) -> str:
    outline = "".join(f"{_path(loop[:-1], flat)}z" for loop in _chained(face.outline))
    text = f'<path d="{outline}" fill="{face.colour}" stroke="{face.colour}"/>'
    if face.edges:
        lines = "".join(_path(line, flat) for line in _chained(face.edges))
        text += f'<path d="{lines}" fill="none" stroke="{EDGE}"/>'
    return text


def _path(places: Sequence[int], flat: Floats) -> str:
    """A line through points, one decimal each; points that fall on the one before are left out."""
    shown = [f"{flat[i][0]:.1f} {flat[i][1]:.1f}" for i in places]
    kept = [place for i, place in enumerate(shown) if i == 0 or place != shown[i - 1]]
    return "M" + "L".join(kept)


def _chained(edges: Sequence[Edge]) -> list[list[int]]:
    """Directed edges as lines, closed ones ending where they begin."""
    following: dict[int, list[int]] = {}
    for a, b in edges:
        following.setdefault(a, []).append(b)
    inward = {b for _, b in edges}
    lines = []
    for start in sorted(following, key=lambda i: (i in inward, i)):  # open lines from their beginning
        while following[start]:
            line = [start]
            while following.get(line[-1]):
                line.append(following[line[-1]].pop())
            lines.append(line)
    return lines
