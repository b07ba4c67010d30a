"""Parquet: the table of CSV with types, compressed, in row groups."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from vidseg.errors import VidsegError
from vidseg.exporters.source import Source
from vidseg.exporters.table import COLUMNS, rows

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:
    raise VidsegError('parquet needs the parquet extra: pip install ".[parquet]" in the clone of vidseg') from error

TYPES = {
    **dict.fromkeys(COLUMNS, pa.int32()),
    **dict.fromkeys(("frame", "id", "area"), pa.int64()),
    **{"time": pa.float64(), "score": pa.float32()},
    **dict.fromkeys(("label", "counts", "name"), pa.string()),
}
GROUP = 8192  # rows in memory at a time


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the table."""
    (source,) = sources
    schema = pa.schema(TYPES.items())
    found = rows(source)
    with parquet.ParquetWriter(output, schema, compression="zstd") as writer:
        while group := list(itertools.islice(found, GROUP)):
            columns = [pa.array(column, kind) for column, kind in zip(zip(*group), TYPES.values())]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
