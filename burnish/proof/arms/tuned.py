"""The tuned model, given the item's turns alone."""

from burnish.proof.arm import Arm, ArmContext, PlainArm


def build(name: str, _count: int, _context: ArmContext) -> Arm:
    """`tuned`."""
    return PlainArm(name, "tuned")
