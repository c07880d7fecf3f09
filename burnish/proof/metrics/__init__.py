"""One metric a file; the file name is the name, the attribute `metric` is the metric (see `burnish.proof.metric`)."""
