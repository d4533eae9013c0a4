"""The exception whose message is shown to the user."""


class UserError(Exception):
    """An error that the user can fix. Its message says what is wrong, where, and what is valid.

    The command line prints the message, one sentence, and exits with status 1, without a traceback.
    """
