"""Trained models as files, and what they compute when a song is separated."""
