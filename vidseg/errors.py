"""What can go wrong, by kind. Each message says what, where, and what to do next, in one line.

The command line prints the message to stderr and exits with 1; nothing else in the package prints.
"""


class VidsegError(Exception):
    """Base of every error that the user of vidseg can do something about."""


class InputError(VidsegError):
    """The clip, image, prompt or tracks file that was given cannot be used."""


class OutputError(VidsegError):
    """The result cannot be written where it was asked for."""


class ModelError(VidsegError):
    """The checkpoint, preset or device that was asked for cannot be used."""
