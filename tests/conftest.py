"""What the processes that tests run in have in common, and those that they start.

Each has one thread for torch: there are others beside it. And where Python is told to keep no bytecode, as in many
containers, it keeps it for as long as the tests run: dozens of processes would compile torch and transformers anew,
which takes longer than most of what they do.
"""

import os
import sys
import tempfile

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
elif sys.dont_write_bytecode:
    bytecode = tempfile.TemporaryDirectory(prefix="bytecode-")
    os.environ["PYTHONPYCACHEPREFIX"] = bytecode.name
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
