"""Records become examples, examples become tokens: formats, split, chat template, encoder."""
