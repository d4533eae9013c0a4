"""The one exception that is meant for the user's eyes."""


class UserError(Exception):
    """Something the user can mend: one sentence that says what, where, and what is legal.

    The command line prints the sentence and exits with status 1; no traceback is shown.
    """
