"""The installation of the project's packages, and the check that they can be installed.

install.py  sets up an environment, and shows what it does; the standard library only
needs.py    what a machine needs besides Python
wheels.py   checks the lock for every Python and machine, without installing
"""
