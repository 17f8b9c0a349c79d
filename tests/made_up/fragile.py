"""Run by torchrun in test_processes: the command line with a toy task that loses a process."""

import os
import signal
import sys
import time
from datetime import timedelta

from made_up.toy_run import ToyRunTask

from idlib import cli
from idlib.tasks import TASKS
from idlib.training import processes

LOST_AT = 5  # of 6 updates; the last evaluation was at the third
WAYS = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hanging": lambda: time.sleep(600),
}


class FragileTask(ToyRunTask):
    """The second process is lost before an update, in the way that the environment names."""

    def batches(self, indices):
        for batch in super().batches(indices):
            lost_by = os.environ.get("LOSE_BY")
            if lost_by and os.environ["RANK"] == "1" and len(self.seen) == LOST_AT:
                WAYS[lost_by]()
            yield batch


if __name__ == "__main__":
    TASKS["toy"] = "made_up.fragile:FragileTask"
    processes.ANSWER_WITHIN = timedelta(seconds=float(os.environ["ANSWER_SECONDS"]))
    sys.argv = ["idlib", "run", "toy", "--profile", "smoke", *sys.argv[1:]]
    cli.main()
