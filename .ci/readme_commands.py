"""Prints the commands of README.md's Quick start, one per line."""

import pathlib
import re

text = (pathlib.Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
section = text.split("## Quick start", 1)[1].split("\n## ", 1)[0]
commands = [
    line
    for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("pip install")
]
assert len(commands) == 2, f"Expected two commands in Quick start, found {commands}"
print("\n".join(commands))
