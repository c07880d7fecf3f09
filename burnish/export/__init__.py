"""Formats made from a run, one file each; the file's name is what `--to` takes."""
