"""Mistakes planted in the text of backward passes: in the NumPy source that `derive` writes, and in models/by_hand.

Nothing here knows how the checker looks for mistakes: a mistake is an edit of the syntax tree, as a person would make it.
"""
