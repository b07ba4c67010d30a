"""What happens in a job, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from vidseg.web.jobs import Job

PERIOD = 0.05  # s between two looks at the file
REPORT = 0.4  # s between two events on the progress


async def events(job: Job, after: int, alive: Callable[[], bool]) -> AsyncIterator[str]:
    """All frames of a job after line `after`, progress, and `end`. alive: whether to go on; is asked now and then."""
    number, partial, offset, reported = 0, b"", 0, REPORT
    while True:
        ended = job.ended  # before the file is read: what was written until then is all
        if job.events.exists():
            with job.events.open("rb") as file:
                file.seek(offset)
                data = file.read(1 << 20)
            offset += len(data)
            *lines, partial = (partial + data).split(b"\n")
            for line in lines:
                number += 1
                if number > after:
                    yield f"id: {number}\nevent: frame\ndata: {line.decode()}\n\n"
            if data:
                if not ended:
                    await asyncio.sleep(0)
                if len(data) == 1 << 20 or ended:
                    continue
        if ended:
            yield f"event: end\ndata: {json.dumps(job.described())}\n\n"
            return
        if reported >= REPORT:
            reported = 0.0
            if not alive():
                return
            yield f"event: progress\ndata: {json.dumps(job.described())}\n\n"
        await asyncio.sleep(PERIOD)
        reported += PERIOD
