"""Solids of programs, built with manifold3d, and how far two of them are the same part.

Every circle has `FACETS` sides, whatever `$fn` says, unless it says at most 8 (`openscad/draw.py`): so two programs
that mean the same circle give the same solid. 72 sides are 5 degrees each, so a cylinder that is turned about its axis
by a multiple of them - by 30, 45 or 90 degrees - is the cylinder that it was.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from manifold3d import CrossSection, Error, Manifold, OpType

from .openscad.draw import Leaf, Part, draw
from .openscad.words import ProgramFault, Unsupported

FACETS = 72
SAME = 1e-6  # of the union's volume; a lacking 3 mm hole in a plate of 160 x 120 x 5 mm is 4e-4
GRID = 2.0**30  # places in a millimetre: where rounding leaves 1e-15 mm between two faces, they meet


@dataclass(frozen=True, slots=True)
class Comparison:
    """An answer beside the part that was asked for. `fault` says why it is no valid program, or is not read here."""

    valid: bool
    unsupported: bool = False
    iou: float = 0.0  # volume of the intersection over that of the union
    equal: bool = False  # all but `SAME` of the volume in common, and as many through holes
    fault: str | None = None


@lru_cache(maxsize=1024)
def solid(program: str, facets: int = FACETS) -> Manifold:
    """The solid that a program draws. Raises ProgramFault, also where nothing is left, or Unsupported."""
    built = build(draw(program), facets)
    if built.status() != Error.NoError:
        raise ProgramFault(program, 0, f"the program draws no closed solid ({built.status().name})")
    if built.is_empty() or built.volume() <= 0:
        raise ProgramFault(program, 0, "the program leaves no solid")
    return built


def build(part: Part, facets: int = FACETS) -> Manifold:
    """The solid of a part, round things with so many sides."""
    if isinstance(part, Leaf):
        return _leaf(part, facets)
    solids = [build(inner, facets) for inner in part.parts]
    return Manifold.batch_boolean(solids, _OPERATIONS[part.operation]) if solids else Manifold()


_OPERATIONS = {"union": OpType.Add, "difference": OpType.Subtract, "intersection": OpType.Intersect}


def _leaf(leaf: Leaf, facets: int) -> Manifold:
    sides = leaf.facets or facets
    if leaf.shape == "cube":
        x, y, z = leaf.sizes
        raw = Manifold.cube((x, y, z))
    elif leaf.shape == "cylinder":
        raw = Manifold.cylinder(*leaf.sizes, circular_segments=sides)
    else:
        raw = _sphere(leaf.sizes[0], sides)
    return raw.transform(np.array(leaf.placed)).warp_batch(lambda points: np.round(points * GRID) / GRID)


def _sphere(radius: float, sides: int) -> Manifold:
    """OpenSCAD's sphere: rings of `sides` corners, half a step away from the poles."""
    rings = (sides + 1) // 2
    angles = np.pi * (np.arange(rings) + 0.5) / rings
    ring = np.stack([radius * np.sin(angles), -radius * np.cos(angles)], axis=1)
    profile = np.concatenate([[[0.0, ring[0, 1]]], ring, [[0.0, ring[-1, 1]]]])
    return Manifold.revolve(CrossSection([profile]), circular_segments=sides)


@lru_cache(maxsize=4096)
def compare(answer: str, reference: str) -> Comparison:
    """How far an answer draws the reference's part; the reference must be a valid solid."""
    asked = solid(reference)
    try:
        given = solid(answer)
    except Unsupported as refusal:
        return Comparison(valid=False, unsupported=True, fault=str(refusal))
    except ProgramFault as fault:
        return Comparison(valid=False, fault=str(fault))
    shared, both = (asked ^ given).volume(), asked.volume() + given.volume()
    union = both - shared
    equal = both - 2 * shared <= SAME * union and asked.genus() == given.genus()
    return Comparison(valid=True, iou=min(1.0, max(0.0, shared / union)), equal=equal)
