"""`python -m report_service.migrate`: bring the schema `report` to the newest revision, as its owner.

With `--wait` it changes nothing and returns when the schema is there, which takes the runtime role's address alone.
"""

from radrelay_shared.database import prepare


def main() -> None:
    """Migrate the database that the environment names, or wait for that; see `prepare.main`."""
    prepare.main("report")


if __name__ == "__main__":
    main()
