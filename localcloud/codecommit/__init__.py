"""CodeCommit: moto stores names and descriptions of repositories, and Git their content.

git.py  bare repositories on disk, by the git program
api.py  Git's smart HTTP, the operations on branches and commits, and the events of a push
"""
