"""The commands, one a file: parse the options, call the API, show progress, say what was written.

Everything heavy is imported inside the commands, so that `vidseg --help` answers at once.
"""
