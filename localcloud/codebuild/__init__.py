"""CodeBuild: moto stores the projects, and this package runs their builds.

engine.py     runs a build: source, phases, artifact; read this first
buildspec.py  parses a buildspec (pure)
shell.py      writes a phase as a bash script (pure)
api.py        the operations on builds
docker.py     `docker` in a build, for a machine without Docker
aws.py        `aws` in a build, for a machine without the AWS CLI
tools.py      the common part of these two command lines
"""
