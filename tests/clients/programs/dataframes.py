"""pandas with S3, unchanged: awswrangler, s3fs, and pandas' own s3:// by fsspec.

Reads AWS_ENDPOINT_URL and BUCKET from the environment; prints one line of JSON.
"""

import json
import os

import awswrangler
import pandas
import s3fs

BUCKET = os.environ["BUCKET"]
frame = pandas.DataFrame({"x": [1.5, 2.5, 3.5], "label": ["a", "ü", "c"]})
found: dict[str, object] = {}


def same(other: pandas.DataFrame) -> bool:
    """Return whether a frame is the one that was written, whatever the order of its columns."""
    pandas.testing.assert_frame_equal(
        frame,
        other[["x", "label"]].astype({"label": "str"}).sort_values("x", ignore_index=True),
        check_dtype=False,
    )
    return True


# awswrangler: files, a partitioned dataset, lists, metadata, copies, waits, deletions.
s3 = awswrangler.s3
base = f"s3://{BUCKET}/wrangler"
s3.to_csv(frame, f"{base}/a.csv", index=False)
s3.to_parquet(frame, f"{base}/a.parquet")
s3.to_json(frame, f"{base}/a.json", orient="records", lines=True)
written = s3.to_parquet(
    frame, f"{base}/parts/", dataset=True, partition_cols=["label"], mode="overwrite"
)
wrangler: list[object] = [
    same(s3.read_csv(f"{base}/a.csv")),
    same(s3.read_parquet(f"{base}/a.parquet")),
    same(s3.read_json(f"{base}/a.json", orient="records", lines=True)),
    same(s3.read_parquet(f"{base}/parts/", dataset=True)),
    len(written["paths"]),
    len(s3.list_objects(f"{base}/parts/")),
    s3.list_directories(f"{base}/") == [f"{base}/parts/"],
    s3.size_objects([f"{base}/a.csv"])[f"{base}/a.csv"],
    s3.does_object_exist(f"{base}/missing"),
    s3.read_parquet_metadata(f"{base}/a.parquet")[0],
    sum(len(chunk) for chunk in s3.read_csv(f"{base}/a.csv", chunksize=2)),
]
s3.copy_objects([f"{base}/a.csv"], base, f"s3://{BUCKET}/copies")
s3.upload(__file__, f"{base}/program.py")
s3.download(f"{base}/program.py", "program.py")
s3.wait_objects_exist([f"s3://{BUCKET}/copies/a.csv"], delay=1, max_attempts=3)
s3.delete_objects(f"{base}/")
s3.wait_objects_not_exist([f"{base}/a.csv"], delay=1, max_attempts=3)
with open("program.py") as back, open(__file__) as original:
    wrangler.append(back.read() == original.read())
found["wrangler"] = wrangler
found["left"] = s3.list_objects(f"s3://{BUCKET}/")

# awswrangler's queries of logs, which go to the group by its identifier.
found["query"] = awswrangler.cloudwatch.read_logs(
    "fields @message | sort @message asc", [os.environ["GROUP"]], limit=2
)["message"].tolist()

# s3fs: a file system of buckets.
files = s3fs.S3FileSystem()
with files.open(f"{BUCKET}/files/large", "wb") as out:  # goes up in parts
    for number in range(12):
        out.write(bytes([number]) * 1024 * 1024 * 5)
with files.open(f"{BUCKET}/files/large", "rb") as large:
    large.seek(-1, os.SEEK_END)
    last = large.read(1)
files.pipe({f"{BUCKET}/files/{name}": name.encode() for name in ("a", "b", "ü+c")})
files.copy(f"{BUCKET}/files/a", f"{BUCKET}/files/deep/er/a")
files.mv(f"{BUCKET}/files/b", f"{BUCKET}/files/deep/b")
found["s3fs"] = [
    list(last),
    files.size(f"{BUCKET}/files/large"),
    sorted(files.ls(f"{BUCKET}/files")),
    sorted(files.find(f"{BUCKET}/files/deep")),
    sorted(files.glob(f"{BUCKET}/**/a")),
    files.cat(f"{BUCKET}/files/ü+c").decode(),
    files.cat_file(f"{BUCKET}/files/large", start=0, end=2).hex(),
    [files.exists(f"{BUCKET}/files/{name}") for name in ("a", "missing")],
    files.isdir(f"{BUCKET}/files/deep"),
    files.info(f"{BUCKET}/files/a")["type"],
]
files.put_file(__file__, f"{BUCKET}/files/program.py")
files.setxattr(f"{BUCKET}/files/a", copy_kwargs={"ContentType": "text/csv"}, team="ml")
found["attributes"] = [
    files.getxattr(f"{BUCKET}/files/a", "team"),
    files.info(f"{BUCKET}/files/a", refresh=True)["ContentType"],
]
try:
    files.open(f"{BUCKET}/missing", "rb")
except FileNotFoundError as error:
    found["error"] = type(error).__name__
try:
    files.ls("bucket-that-is-not-there")
except FileNotFoundError as error:
    found["bucket error"] = type(error).__name__
files.rm(f"{BUCKET}/files", recursive=True)
files.mkdir(f"{BUCKET}-2")
files.rmdir(f"{BUCKET}-2")

# pandas itself: it finds s3fs by the address.
frame.to_csv(f"s3://{BUCKET}/pandas/a.csv.gz", index=False)
frame.to_parquet(f"s3://{BUCKET}/pandas/a.parquet")
found["pandas"] = [
    same(pandas.read_csv(f"s3://{BUCKET}/pandas/a.csv.gz")),
    same(pandas.read_parquet(f"s3://{BUCKET}/pandas/a.parquet")),
]
print()
print(json.dumps(found))
