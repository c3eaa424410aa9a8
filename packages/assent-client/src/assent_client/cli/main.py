"""The script `assent`: every way a command can end, and the exit code of each.

0 done · 1 fail · 2 usage · 3 inconclusive · 10 to 21 the errors of `assent_client.errors` · 70 internal ·
130 interrupted
"""

from __future__ import annotations

import os
import sys
import traceback
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from assent_client.errors import INTERNAL_EXIT_CODE, AssentError, Internal

__all__ = ["log_path", "main"]

USAGE_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130
BROKEN_PIPE_EXIT_CODE = 141
"""As shells say it: the reader of the output went away (128 + SIGPIPE)."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code."""
    args = sys.argv[1:] if args is None else args
    try:
        return _run(args)
    except AssentError as error:
        _print(error)
        return error.exit_code
    except Internal as error:
        _print(error)
        return INTERNAL_EXIT_CODE
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED_EXIT_CODE
    except Exception as error:  # noqa: BLE001 -- the last stop: whatever it is gets an id, and the detail goes to the log
        _print(_logged(error, args))
        return INTERNAL_EXIT_CODE


def log_path() -> Path:
    """Give the file that keeps the detail of internal errors."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "assent" / "errors.log"


def _run(args: Sequence[str]) -> int:
    try:
        from typer.exceptions import Abort, TyperException  # noqa: PLC0415 -- the extra may be missing

        from assent_client.cli.connection import OPTIONS  # noqa: PLC0415 -- needs the same extra
        from assent_client.cli.tree import root  # noqa: PLC0415 -- needs the same extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich", "yaml"}:
            raise
        sys.stderr.write("error: the command line is an extra\nto do: pip install 'assent-client[cli]'\n")
        return USAGE_EXIT_CODE
    OPTIONS.reset()
    try:
        code = root().main(list(args), prog_name="assent", standalone_mode=False)
    except Abort:
        sys.stderr.write("aborted\n")
        return INTERRUPTED_EXIT_CODE
    except SystemExit:  # the library's end where nobody reads on; its 1 would say that something failed
        return BROKEN_PIPE_EXIT_CODE
    except TyperException as error:
        _print_usage(error)
        return USAGE_EXIT_CODE
    return code if isinstance(code, int) else 0


def _print_usage(error: Exception) -> None:
    """Say what is wrong with the command line, and how it goes; a group without a verb gets its help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error}\n")
        return
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    message = message.replace("Value error, ", "")  # how the library begins what a validator said
    usage = f"{context.get_usage()}\n" if context else ""
    sys.stderr.write(
        f"error: {message}\n{usage}to do: {context.command_path if context else 'assent'} --help\n"
    )


def _print(error: AssentError | Internal) -> None:
    from assent_client.cli.output import print_error  # noqa: PLC0415 -- only when something went wrong

    print_error(error)


def _logged(error: Exception, args: Sequence[str]) -> Internal:
    """Keep the detail where a person finds it by the id; arguments other than the command stay out of it."""
    error_id = f"err_{uuid.uuid4().hex[:12]}"
    path = log_path()
    words = " ".join(args[:2])
    detail = "".join(traceback.format_exception(error))
    entry = f"{datetime.now(UTC).isoformat()} {error_id} assent {words}\n{detail}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
        ) as log:
            log.write(entry)
    except OSError as unwritable:
        sys.stderr.write(entry)
        return Internal(f"This is a defect of ours ({path} cannot be written: {unwritable}).", error_id)
    return Internal(f"This is a defect of ours: {type(error).__name__}; the detail is in {path}.", error_id)
