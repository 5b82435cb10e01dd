"""CodeBuild: moto keeps the projects, and their builds run here.

buildspec.py  what a buildspec says (pure)
shell.py      a phase as a bash script (pure)
engine.py     a build: source, phases, artifacts
api.py        the operations of builds
docker.py, aws.py, tools.py   what `docker` and `aws` are in a build on a machine without them
"""
