"""A planted mistake, and how it gets into the source."""

import re
from dataclasses import dataclass


class PlantingError(Exception):
    """The place for a mistake is not there, or there are several: the source has changed, so the row must."""


@dataclass(frozen=True)
class Mutant:
    """One mistake: in ``file``, in the class or function ``where`` ("" for the whole file), ``old`` becomes ``new``."""

    name: str
    file: str
    where: str
    old: str
    new: str

    @property
    def path(self) -> str:
        """The file, from the root of the repository."""
        return self.file if self.file.startswith(("models/", "viz/")) else f"minigrad/{self.file}"

    def planted(self, source: str) -> str:
        """The source with the mistake in it; ``old`` must be found exactly once."""
        start, end = self._section(source)
        section = source[start:end]
        if section.count(self.old) != 1:
            place = f"{self.file}, {self.where}" if self.where else self.file
            raise PlantingError(f"{self.name}: {self.old!r} is found {section.count(self.old)} times in {place}, not once")
        return source[:start] + section.replace(self.old, self.new) + source[end:]

    def _section(self, source: str) -> tuple[int, int]:
        if not self.where:
            return 0, len(source)
        starts = [match.start() for match in re.finditer(rf"^{re.escape(self.where)}\b", source, re.MULTILINE)]
        if len(starts) != 1:
            raise PlantingError(f"{self.name}: {self.where!r} begins {len(starts)} lines of {self.file}, not one")
        after = re.compile(r"^(?:class |def |@|[A-Za-z_])", re.MULTILINE).search(source, starts[0] + 1)
        return starts[0], len(source) if after is None else after.start()
