"""Ways to change a pretrained model, one file each; the frozen `Config` of a file is the method."""
