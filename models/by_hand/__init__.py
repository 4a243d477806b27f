"""Hand-derived backward passes in plain NumPy, one file a cell."""
