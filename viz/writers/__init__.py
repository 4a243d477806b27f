"""From marks to files, a format a module: each turns a :class:`~minigrad.viz.sheet.Sheet` into text or bytes."""
