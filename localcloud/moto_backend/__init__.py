"""moto in process: the backend of every service that the local cloud does not implement itself.

dispatcher.py  hands requests to moto, in one thread; read this first
validation.py  refuses what a service's model forbids, before moto gets it
patches/       every change to moto's behaviour, a module a service
persistence/   what moto keeps, on disk before a change is answered
"""
