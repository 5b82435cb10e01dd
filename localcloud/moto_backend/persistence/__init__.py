"""The state of moto's services on disk, so that a restart finds them as they were.

    a request changes a service ─► its backend is pickled into SQLite ─► the response is sent
    a request changes an object ─► that object alone is written       ─► the response is sent
    every second                ─► log lines, metric data, effects of one service on another

    recorder.py     when which part is written, and the restore at the start; read this first
    pickling.py     one backend to bytes and back, by an allow-list of types
    file.py         the SQLite file
    objects.py      S3's objects, one row per version
    append_only.py  lists that only grow (log lines, metric data), in chunks

All of it runs in moto's thread. The file belongs to this program and lies beside the records of our
own services; no pickle ever comes from a bucket or from the network.
"""

from localcloud.moto_backend.persistence.recorder import Recorder

__all__ = ["Recorder"]
