"""Recurrent networks composed from minigrad operations."""
