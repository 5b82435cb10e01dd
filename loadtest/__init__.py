"""The stress test: loads an endpoint with locust, watches its scaling and writes a report.

    payloads, shapes, lab, samples, objectives, summary, alarms, scaling_explanation   pure
    histogram, recorder, request_quota      pure: counting, for one worker and for several
    cloud_clock, observer                   the time and the state of the AWS services
    local_page                              lists a run on the page of a local cloud
    connection                              a user's kept connection, over a gevent socket
    generator, user, worker_pool, worker, messages, signing   the child processes that run locust
    remote_pool, remote_desk, remote_worker, address          workers of other machines
    run, terminal_display                   the child process, the observer, the terminal, the files
    plots, plot_scaling, plot_style, report PNG and HTML, from the files alone
    size, size_plot, capacity, traffic, price   the capacity planner

gevent patches the whole process that imports it, so locust runs in a process of its own.
"""
