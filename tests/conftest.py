"""Every process that tests run in has one thread for torch, and so have the processes they start: there are others beside it."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
