"""Recordings with known stems: MIR-1K and folders of stems."""
