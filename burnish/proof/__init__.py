"""The comparison: arms measured on the same items, paired intervals, a verdict."""
