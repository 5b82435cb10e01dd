"""CodeCommit: moto keeps the repositories' names and descriptions, Git what is pushed to them.

git.py      bare repositories on disk, by the git program
service.py  Git's smart HTTP, the branches' operations, the events of a push
"""
