"""`python -m benchmarks`: measure, print the tables, write results.json and results.svg."""

from benchmarks.one_thread import use_one_thread


def main() -> None:
    """Set the threads first, then import everything that computes."""
    use_one_thread()
    from benchmarks.command import command

    command()


if __name__ == "__main__":
    main()
