"""How a command ends: the exit status, and the error in one line."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from idlib.protocol import ProtocolError
from idlib.records import RecordError
from idlib.training.settings import SettingsError

INTERRUPTED = 130  # as shells say of a command that Ctrl-C ended
RESUMABLE = ("run", "grid", "evidence", "translate", "book", "verify")
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "size calculation overflowed")  # torch's


class Commands(TyperGroup):
    """Ends every command: status 2 for wrong input, 1 for what failed, 130 for Ctrl-C.

    A book of which some pages failed ends with 3. The error itself is one line on stderr.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            status, message = INTERRUPTED, "stopped"
            if ctx.invoked_subcommand in RESUMABLE:
                message += "; the same command goes on where it was"
        except BrokenPipeError:  # who reads, as head does, has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own, as a missing argument
                raise
            if (explained := _explained(error)) is None:
                raise
            status, message = explained
        print(f"idlib: {message}", file=sys.stderr)
        raise typer.Exit(status)


def _explained(error: Exception) -> tuple[int, str] | None:
    """Exit status and message of an error that needs no traceback."""
    if isinstance(error, (SettingsError, RecordError, ProtocolError, OSError)):
        return 2, str(error)
    from idlib.book.execution import NotebookError, PagesFailed
    from idlib.data.errors import DataError
    from idlib.experiments.workers import RunsFailed
    from idlib.models.encoders import EncoderError
    from idlib.training.checkpoints import CheckpointError
    from idlib.training.compiled import CompileError
    from idlib.training.loop import NonFiniteLoss
    from idlib.training.processes import LaunchError, LostProcess

    if isinstance(error, PagesFailed):
        return 3, str(error)
    if isinstance(error, (CompileError, DataError, EncoderError, LaunchError)):
        return 2, str(error)
    if isinstance(error, (CheckpointError, LostProcess, NonFiniteLoss, NotebookError, RunsFailed)):
        return 1, str(error)
    reason = (str(error).splitlines() or ["no more can be had"])[0]
    of_torch = isinstance(error, RuntimeError) and any(part in reason for part in OUT_OF_MEMORY)
    if of_torch or isinstance(error, MemoryError):
        return 1, (
            f"memory does not suffice ({reason}): set micro_batch, which makes an update in "
            "slices, or the sizes of the model to less"
        )
    return None
