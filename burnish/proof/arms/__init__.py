"""One kind of arm a file; each has `build(name, k, context) -> Arm` (see `burnish.proof.arm`)."""
