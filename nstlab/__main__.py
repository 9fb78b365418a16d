"""`python -m nstlab` is the nstlab command; `torchrun -m nstlab train ...` runs it in several processes."""

from nstlab.cli import main

if __name__ == "__main__":
    main()
