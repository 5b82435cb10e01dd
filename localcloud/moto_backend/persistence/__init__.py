"""What moto keeps, kept on disk: so that a restart finds the passive services as they were.

    request changes a service ─► its backend is pickled into SQLite ─► the answer goes out
    S3 object                 ─► the object alone                   ─► the answer goes out
    every second              ─► log lines, metric data, what one service did to another

    pickling.py   one backend to bytes and back, by an allow-list of types
    file.py       the SQLite file
    objects.py    S3's objects, a row a version
    append_only.py  lists that only grow (log lines, metric data), in chunks
    recorder.py   what is written when; the way back at the start

All of it runs in moto's thread. The file is this program's own, beside the live services' state:
no pickle comes from a bucket or from the network.
"""

from localcloud.moto_backend.persistence.recorder import Recorder

__all__ = ["Recorder"]
