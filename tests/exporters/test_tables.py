"""CSV and Parquet, read back by pandas."""

import sys

import numpy as np
import pandas
import pyarrow.parquet
import pytest
from pycocotools import mask as coco

import vidseg
from tests.support.truth import AWKWARD, save
from vidseg.errors import VidsegError
from vidseg.tracks.frame import mask_bounds

EXPECTED = [
    (index, number, label, mask) for index, objects in AWKWARD.items() for number, (label, mask) in objects.items()
]


@pytest.mark.parametrize(("kind", "read"), [("csv", pandas.read_csv), ("parquet", pandas.read_parquet)])
def test_pandas_reads_the_rows_back(tmp_path, kind, read):
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), kind)
    assert path == tmp_path / f"clip.{kind}"
    table = read(path)
    assert list(table) == [
        "frame",
        "time",
        "id",
        "label",
        "score",
        "x1",
        "y1",
        "x2",
        "y2",
        "area",
        "height",
        "width",
        "counts",
        "name",
    ]
    assert table["name"].isna().all()
    for row, (index, number, label, mask) in zip(table.itertuples(), EXPECTED, strict=True):
        assert (row.frame, row.time, row.id, row.label, round(row.score, 6)) == (index, index / 25, number, label, 0.9)
        assert [row.x1, row.y1, row.x2, row.y2, row.area] == [*mask_bounds(mask), mask.sum()]
        assert np.array_equal(coco.decode({"size": [row.height, row.width], "counts": row.counts.encode()}), mask)


@pytest.mark.parametrize(("kind", "read"), [("csv", pandas.read_csv), ("parquet", pandas.read_parquet)])
def test_nothing_in_the_file(tmp_path, kind, read):
    table = read(vidseg.export(save(tmp_path / "clip.tracks.jsonl", {0: {}}), kind)[0])
    assert len(table) == 0 and len(table.columns) == 14


def test_parquet_is_written_in_groups(tmp_path, monkeypatch):
    from vidseg.exporters import parquet

    monkeypatch.setattr(parquet, "GROUP", 3)
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), "parquet")
    file = pyarrow.parquet.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [3, 3, 3, 1] and len(
        EXPECTED
    ) == 10
    assert file.read().column("id").to_pylist() == [number for _, number, _, _ in EXPECTED]
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert (types["frame"], types["time"], types["id"], types["label"], types["x1"]) == (
        "int64",
        "double",
        "int64",
        "string",
        "int32",
    )


def test_parquet_without_its_package(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "vidseg.exporters.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        VidsegError, match=r'^parquet needs the parquet extra: pip install "\.\[parquet\]" in the clone of vidseg$'
    ):
        vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), "parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["clip.tracks.jsonl"]
    assert vidseg.export(tmp_path / "clip.tracks.jsonl", "csv")
