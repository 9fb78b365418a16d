"""Every command and snippet of the README is run as it stands there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").exists() else ""
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)
COMMANDS = [text for kind, text in BLOCKS if kind == "bash"]
SNIPPETS = [text for kind, text in BLOCKS if kind == "python"]
NSTLAB = """
import json, sys
from nstlab.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = words
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    if code:
        sys.exit(f"{' '.join(words)}: exit code {code}")
"""


def test_there_is_something_to_run():
    assert len(COMMANDS) >= 5 and SNIPPETS


@pytest.mark.parametrize("block", COMMANDS)
def test_commands(block, tmp_path):
    """The commands of a block one after the other, in one folder; consecutive ones of nstlab in one process, to be quick."""
    waiting = []

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]

    def catch_up():
        if waiting:
            run(sys.executable, "-c", NSTLAB, json.dumps(waiting))
            waiting.clear()

    for command in block.splitlines():
        words = shlex.split(command, comments=True)
        if not words or words[0] == "git" or words[:2] == ["cd", "nstlab"]:
            continue  # how one gets here
        if words[:2] == ["python", "run.py"]:
            listed = subprocess.run([sys.executable, ROOT / "run.py"], capture_output=True, text=True)
            assert words[2] in listed.stderr and f"def {words[2]}(" in (ROOT / "run.py").read_text()
            continue  # running it is what continuous integration does
        words = [str(ROOT / word) if word.startswith("notebooks/") else word for word in words]
        if words[0] == "nstlab":
            waiting.append(words)
            continue
        catch_up()
        if words[0] == "python":
            run(sys.executable, ROOT / words[1], *words[2:])
        else:
            run(Path(sys.executable).with_name(words[0]), *words[1:])
    catch_up()


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet(snippet, tmp_path):
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README):
        target = target[0] or target[1]
        assert target.startswith("http") or (ROOT / target).exists(), target
