"""`make bench`: every figure that a document quotes, as ratios side by side in one run."""

import platform
from importlib.metadata import version

from benchmarks import migration, start_up


def main() -> None:
    print(f"{platform.machine()}, Python {platform.python_version()}, Prefect {version('prefect')}\n")
    migration.main()
    start_up.main()


if __name__ == "__main__":
    main()
