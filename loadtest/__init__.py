"""The stress test: locust against an endpoint, its scaling watched, a report at the end.

    payloads, shapes, histogram, samples, summary   pure
    cloud_clock, observer                           what the services say, and when
    generator                                       the child process that runs locust
    run, live                                       the run: child, observer, terminal, files
    plots, report                                   PNG and HTML, from the files alone

gevent patches the whole process it is imported in, so locust has a process of its own.
"""
