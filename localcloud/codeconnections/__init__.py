"""CodeConnections: connections to GitHub and its like, and the Git repositories behind them.

model.py    the record of a connection, and its legal transitions
api.py      the operations on connections
service.py  Git over HTTP, the authorisation that a person gives in the console, and the webhook
"""
