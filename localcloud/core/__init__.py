"""The ground that the services of the local cloud share; nothing here knows a service.

clock.py                the one source of AWS time
child_process.py        training jobs, model servers and Lambda environments as processes
marks.py                finds what they left running, by a mark in the environment
store.py                records, written through to SQLite
state_directory.py      the directory that state is kept in, one local cloud at a time
image_store.py          container images without Docker: unpacked build contexts by digest
build_context.py        a directory as the tar archive that an image is built from
internal_client.py      a client of the local cloud's own routes
glob.py                 patterns with stars, matched in linear time (pure)
user_pattern.py         regular expressions of requests, with a time limit
bounded_yaml.py         YAML of bounded depth and size
descriptors.py          the check whether file descriptors have run out
archives.py             zip, tar and gzip of bounded size
cron.py                 cron expressions of AWS (pure)
schedule_expression.py  at(…), rate(…) and cron(…) expressions (pure)
"""
