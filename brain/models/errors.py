"""What goes wrong with models, in sentences that say what to do."""

from __future__ import annotations


class ModelsError(Exception):
    """Something that a person can put right; the text is for them."""


class Refused(ModelsError):
    """The hub won't give the files: a licence, a token, a name that isn't there."""


class Unreachable(ModelsError):
    """The hub isn't reached, or broke off and stayed away. What came so far is kept."""


class Spoiled(ModelsError):
    """A file is not what it should be, by its SHA-256 or its size."""


class Stopped(ModelsError):
    """Somebody asked for it to stop. What came so far is kept."""
