"""What happens in a job, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from vidseg.web.jobs import Job

POLL_SECONDS = 0.05  # between two looks at the file
PROGRESS_SECONDS = 0.4  # between two events about the progress
CHUNK_BYTES = 1 << 20  # that are read of the file at once


async def events(job: Job, after: int, alive: Callable[[], bool]) -> AsyncIterator[str]:
    """The events of a job: `frame` for each frame, `progress`, and at last `end`.

    Args:
        job: what to listen to.
        after: number of the last frame event that the listener has had, 0 for none.
        alive: asked now and then whether to continue.
    """
    number, partial, offset, since_progress = 0, b"", 0, PROGRESS_SECONDS
    while True:
        ended = job.ended  # before the file is read: what has been written by then is all
        if job.events.exists():
            with job.events.open("rb") as file:
                file.seek(offset)
                data = file.read(CHUNK_BYTES)
            offset += len(data)
            *lines, partial = (partial + data).split(b"\n")
            for line in lines:
                number += 1
                if number > after:
                    yield f"id: {number}\nevent: frame\ndata: {line.decode()}\n\n"
            if data:
                if not ended:
                    await asyncio.sleep(0)
                if len(data) == CHUNK_BYTES or ended:
                    continue
        if ended:
            yield f"event: end\ndata: {json.dumps(job.as_json())}\n\n"
            return
        if since_progress >= PROGRESS_SECONDS:
            since_progress = 0.0
            if not alive():
                return
            yield f"event: progress\ndata: {json.dumps(job.as_json())}\n\n"
        await asyncio.sleep(POLL_SECONDS)
        since_progress += POLL_SECONDS
