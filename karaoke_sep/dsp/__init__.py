"""Numerical building blocks that are independent of the method."""
