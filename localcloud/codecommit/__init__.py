"""CodeCommit: moto stores names and descriptions of repositories, and Git their content.

git.py                 bare repositories on disk, by the git program
smart_http.py          Git's smart HTTP, for the repositories behind a connection, too
api.py                 the operations on branches and commits, and the events of a push
approval_rules_api.py  approval rule templates and their repositories
"""
