"""The report: one HTML page to listen to separated tracks and to compare them with reference stems."""
