"""What a model says: greedy decoding in batches with a cache, and the likelihood of given answers."""
