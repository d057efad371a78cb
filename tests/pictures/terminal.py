"""``python -m tests.pictures.terminal DIRECTORY``: a picture of what a measurement prints.

It is a real run on the private server, as a user would make it; keep the machine quiet meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COMMAND = "ingest-canary measure"
COLUMNS = 100

#: Rich's own frame, with fonts that a machine has: a page shows no picture that loads others.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: ui-monospace, DejaVu Sans Mono, monospace;
        font-size: {char_height}px;
        line-height: {line_height}px;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})"
       clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
"""


def main(directory: Path) -> None:
    """Write ``DIRECTORY/terminal.svg``."""
    kept = {name: value for name, value in os.environ.items() if "INGEST_CANARY" not in name}
    with tempfile.TemporaryDirectory(prefix="canary-picture-", dir="/tmp") as place:
        Path(place).chmod(0o755)  # the private server may be another user's
        done = subprocess.run(
            [sys.executable, "-m", "monitor", *COMMAND.split()[1:]],
            env=kept
            | {"INGEST_CANARY_DATA_DIR": place, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    with Path(os.devnull).open("w") as nowhere:
        console = Console(width=COLUMNS, record=True, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(f"$ {COMMAND}\n{done.stdout.rstrip()}"))
        console.save_svg(str(directory / "terminal.svg"), title=COMMAND, code_format=FRAME)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
