"""The stress test: locust against an endpoint, its scaling watched, a report at the end.

    payloads, shapes, lab, samples, summary, alarms, why      pure
    histogram, recorder, tickets                              pure: counting, from many workers too
    cloud_clock, observer                                     what the services say, and when
    generator, user, crew, worker                             the child processes that run locust
    run, live                                                 child, observer, terminal, files
    plots, plot_scaling, report                               PNG and HTML, from the files alone
    size, capacity, traffic, price                            the wind tunnel

gevent patches the whole process it is imported in, so locust has a process of its own.
"""
