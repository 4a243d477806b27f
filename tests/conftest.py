"""What holds for every test."""

import gc


def pytest_collection_finish() -> None:
    """Take what the collection of tests has made, for good, out of what the collector and `gc.get_objects` go through."""
    gc.collect()
    gc.freeze()
