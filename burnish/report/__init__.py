"""What a run bought, from its directory alone: report.json, lines for the terminal, a picture."""
