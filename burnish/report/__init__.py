"""What a run bought, from its directory alone: report.json, a page, lines for the terminal, a picture."""
