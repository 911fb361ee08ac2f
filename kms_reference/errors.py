"""Errors of somebody who starts a reference."""


class ServerError(Exception):
    """The server cannot be started as asked: one sentence with the offending value."""


class DataFileError(ServerError):
    """The data file cannot be used: it is another program's, or another server has it open."""


class SeedFileError(ServerError):
    """The seed file cannot be used, or the server refuses a key of it."""
