"""Reverse-mode automatic differentiation on NumPy that knows time."""
