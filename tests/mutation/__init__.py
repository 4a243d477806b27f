"""Planted mistakes: each is put into a copy of minigrad's source, one at a time, and some test must notice it."""
