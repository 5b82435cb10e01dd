"""The page for a browser, and the overview that it shows: what the whole local cloud is doing.

    records, events, calls ──► Changes ──► Stream ──► a browser, by Server-Sent Events
            │                                 ▲
            └──────────────► Overview ────────┘  one document, in sections

This package reads the records of the services and changes none. What the page changes, it changes
by AWS's own operations.
"""
