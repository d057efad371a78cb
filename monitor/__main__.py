"""Entry point of the command ``ingest-canary``."""

from monitor.cli.main import main

if __name__ == "__main__":
    main()
