"""Threads, memory and processes."""
