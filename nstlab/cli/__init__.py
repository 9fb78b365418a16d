"""The `nstlab` command."""


def main() -> None:
    """Run the command with the arguments of this process."""
    from nstlab.cli.app import main

    main()
