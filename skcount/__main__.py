"""`python -m skcount`: the command line."""

from skcount.cli import main

if __name__ == "__main__":
    main()
