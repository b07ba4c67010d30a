"""What the processes that tests run in have in common, and those that they start.

Each has one thread for torch: there are others beside it. And where Python is told to keep no bytecode, as in many
containers, it keeps it for as long as the tests run: dozens of processes would compile torch and transformers anew,
which takes longer than most of what they do.
"""

import functools
import os
import sys
import tempfile

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
elif sys.dont_write_bytecode:
    bytecode = tempfile.TemporaryDirectory(prefix="bytecode-")
    os.environ["PYTHONPYCACHEPREFIX"] = bytecode.name
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def no_plain_progress(monkeypatch):
    """No lines on progress, which a slow machine would show and a fast one not; the tests of them have their own."""
    monkeypatch.setattr("vidseg.commands.progress.PLAIN_INTERVAL", 3600.0)


@pytest.fixture(scope="module")
def encoded_once():
    """For modules that track the same clips again and again, and are not about the encoder."""
    from tests.support.encoded import encode_once

    with pytest.MonkeyPatch.context() as patch:
        encode_once(patch)
        yield


@pytest.fixture(scope="module")
def loaded_once():
    """For modules in which many commands load the same model, and which are not about loading."""
    import vidseg

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vidseg, "load", functools.cache(vidseg.load))
        yield
