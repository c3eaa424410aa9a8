"""Read result files of other tools; every importer has a version, which is recorded with what it read."""

from assent.evaluation.imports.reading import FORMATS, Read, read

__all__ = ["FORMATS", "Read", "read"]
