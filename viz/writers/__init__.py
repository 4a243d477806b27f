"""From marks to files, a format a module: each turns a :class:`~minigrad.viz.marks.Sheet` into text or bytes."""
