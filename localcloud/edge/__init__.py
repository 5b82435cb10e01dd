"""The HTTP edge of the local cloud: from the socket to the service that answers.

server.py           uvicorn on loopback, and the ASGI application
fast_path.py        plain invocations of endpoints, answered before uvicorn
connection.py       everything else of HTTP: uvicorn's protocol, with bounds
request_log.py      the log's line for each request
shutdown.py         the end of the process within a bounded time
gateway.py          the composition root and the ordered chain of handlers; read this first
internal_routes.py  LocalStack's routes and the local cloud's own
services.py         the list of services, and their construction
coverage.py         the operations that are implemented, and docs/operations.md
"""
