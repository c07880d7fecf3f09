"""The base model, given the item's turns alone."""

from burnish.proof.arm import Arm, ArmContext, PlainArm


def build(name: str, _count: int, _context: ArmContext) -> Arm:
    """`base`."""
    return PlainArm(name, "base")
