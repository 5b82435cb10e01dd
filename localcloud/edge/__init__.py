"""The HTTP edge of the local cloud: from the socket to the service that answers.

server.py           uvicorn on loopback, and the ASGI application
fast_path.py        plain invocations of endpoints, answered before uvicorn
gateway.py          the composition root and the ordered chain of handlers; read this first
internal_routes.py  LocalStack's routes and the local cloud's own
coverage.py         what is implemented, read from the code, and docs/operations.md
"""
