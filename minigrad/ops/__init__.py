"""The operations, each with its formula, its derivative and what it saves, side by side."""
