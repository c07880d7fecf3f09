"""report.html: one file without scripts that shows a run to people; a module for each group of sections."""
