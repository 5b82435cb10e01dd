"""`python -m localcloud` is the same command as `localcloud`."""

from localcloud.cli import main

if __name__ == "__main__":
    main()
