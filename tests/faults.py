"""Commands that are killed, or run out of disk space, at any of their operations on files.

They run in children of a process that has imported the program but started no thread. Python
reports every operation on a file to an audit hook, before it happens.
"""

import errno
import multiprocessing
import os
import signal
import sys

from recns_tf.commands import export, prepare  # noqa: F401  (imported once for all children)
from recns_tf.errors import UserError
from recns_tf.main import main

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}
KILLED = -signal.SIGKILL
LONGEST = 200
FAULTS = {"killed": None, "full": errno.ENOSPC, "read-only": errno.EROFS}


def creates(event, arguments):
    """Return whether an audit event needs disk space."""
    if event == "open":
        mode, flags = arguments[1:3]
        return bool(set(mode or "") & set("wax+")) or bool(flags & WRITING)
    return event == "os.mkdir"


def install(number, code, root):
    """At the operation `number`, counted from 1, fail with `code`, or be killed if it is None.

    With a code, everything that creates a file from then on fails, as on a full disk.
    """
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        if event != "open" and event not in CHANGES:
            return
        # A tree is deleted by names that are relative to an open folder.
        is_relative = event in ("os.remove", "os.rmdir") and arguments[1] >= 0
        if not is_relative and not str(arguments[0]).startswith(str(root)):
            return
        if event in CHANGES or creates(event, arguments):
            seen += 1
            if code is None and seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            if code is not None and seen >= number and creates(event, arguments):
                raise OSError(code, os.strerror(code), str(arguments[0]))

    sys.addaudithook(hook)


def child(function, arguments, number, code, root):
    """Run a function with a fault; the exit status is 0, or 3 for an error of one sentence."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    install(number, code, root)
    try:
        function(*arguments)
    except (UserError, OSError):
        sys.exit(3)


def start(function, arguments, number=0, code=None, root="/nowhere"):
    """Start a function of a module in a child; see `install` for its fault."""
    process = CONTEXT.Process(target=child, args=(function, arguments, number, code, str(root)))
    process.start()
    return process


def status_of(*arguments):
    """Run a function as `start` does, and return its exit status."""
    process = start(*arguments)
    process.join()
    return process.exitcode


def every_fault(make_world, function, code=None):
    """Run a function with a fault at its first operation, its second one, and so on.

    Args:
        make_world: takes a number, and returns an empty or prepared folder for one attempt.
        function: takes the folder.
        code: the error, or None to be killed.

    Yields:
        The folder after each attempt that met the fault, and the number of the operation.
    """
    for number in range(1, LONGEST):
        folder = make_world(number)
        status = status_of(function, (folder,), number, code, folder)
        if status == 0:
            assert number > 4, "the hook sees no operation"
            return
        assert status == (KILLED if code is None else 3)
        yield folder, number
    raise AssertionError("the function never succeeds")


def command(*words):
    """Run a command line in this process; SystemExit with a text is a refusal."""
    try:
        main(words)
    except SystemExit as error:
        if error.code:
            raise UserError(str(error.code)) from error
