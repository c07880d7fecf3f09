"""The engine: loss, optimiser, schedule, one step, the loop as a generator of events, checkpoints."""
