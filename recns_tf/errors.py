"""The exception whose message is shown to the user, and the messages of others in one line."""


class UserError(ValueError):
    """An error that the user can fix. Its message says what is wrong, where, and what is valid.

    Flags in messages are the arguments of the same name in Python. The command line prints the
    message, one sentence, and exits with status 1, without a traceback.
    """


def first_line(error: BaseException) -> str:
    """Return the type of an error and the first line of its message, without a period."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]]).rstrip(".")
