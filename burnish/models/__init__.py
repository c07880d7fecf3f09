"""Pretrained models: where they come from, how they are read, and the seams that methods use."""
