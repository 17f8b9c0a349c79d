"""No line of the code reads objects, runs what it was given, or unpacks what it did not make.

Bandit finds the calls that are known to do so; what it does not know of is looked for here. What is
allowed is listed by file, with the reason.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("idlib", "book/_ext", "tools", "workflow", "noxfile.py")
FILES = sorted(
    path
    for name in SOURCES
    for path in ([ROOT / name, *(ROOT / name).rglob("*.py")])
    if path.is_file()
)

# Bandit's: exec, pickle and its kin (calls, imports), eval, URLs of any scheme, archives, YAML of
# any class, shells, torch.load, and the hub without a revision.
CHECKS = (
    *("B102", "B301", "B302", "B307", "B310", "B403", "B202", "B506"),
    *("B602", "B604", "B605", "B609", "B614", "B615"),
)
ALLOWED = {
    ("idlib/book/parameters.py", "B102"): 1,  # a notebook's parameters, read as papermill would:
    ("idlib/book/parameters.py", "B307"): 1,  # a notebook is code
    ("idlib/commands/arguments.py", "B506"): 1,  # by a SafeLoader's subclass: see the last test
    ("idlib/data/hub.py", "B310"): 1,  # the hub's endpoint, as its own library asks it
    ("idlib/data/tables.py", "B615"): 1,  # **asked has the revision, or a folder's own files
    # Which encoder is the user's choice. Its content's checksum is part of what a record asks.
    ("idlib/models/encoders.py", "B615"): 5,
}

# What bandit does not know, by the last of a call's names: the keyword that makes it safe.
NEED = {"unpack_archive": ("filter", "data")} | dict.fromkeys(
    ("from_pretrained", "from_config"), ("trust_remote_code", False)
)
NEVER = {"extractall", "extract", "read_pickle", "unsafe_load", "full_load", "fromregex", "popen"}
OF_TORCH_HUB = {"load", "help", "list", "load_state_dict_from_url"}
# Bandit does not follow these where they are imported by name.
BY_THEIR_MODULE = {("torch", "load"), ("yaml", "load")}
NEVER_TRUE = {"shell", "allow_pickle", "trust_remote_code"}


def by_bandit(root: Path, *names: str) -> Counter[tuple[str, str]]:
    """How often each of the checks is found in each file below ``root``."""
    command = [sys.executable, "-m", "bandit", "-q", "-r", "-f", "json", "-t", ",".join(CHECKS)]
    done = subprocess.run([*command, *names], cwd=root, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert not found["errors"], found["errors"]
    return Counter((one["filename"].removeprefix("./"), one["test_id"]) for one in found["results"])


def by_name(path: Path) -> list[str]:
    """What bandit does not know, in one file."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), []
    imported = {
        alias.asname: alias.name.rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.ImportFrom) else []:
            if (node.module, alias.name) in BY_THEIR_MODULE:
                found.append(f"{node.lineno}: {alias.name} without its module, {node.module}")
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        *before, last = ast.unparse(call.func).split(".")
        last = last if before else imported.get(last, last)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        keyword, value = NEED.get(last, ("", None))
        if keyword and given.get(keyword) != repr(value):
            found.append(f"{call.lineno}: {last} without {keyword}={value!r}")
        elif last in NEVER and before[-1:] != ["str"]:  # but pandas' extract
            found.append(f"{call.lineno}: {last}")
        elif before[-1:] == ["hub"] and last in OF_TORCH_HUB:
            found.append(f"{call.lineno}: {last} of torch.hub runs code of a repository")
        elif wrong := [name for name in NEVER_TRUE & given.keys() if given[name] != "False"]:
            found.append(f"{call.lineno}: {last} with {wrong}")
    return found


def test_nothing_is_unpickled_run_or_fetched_unpinned() -> None:
    assert by_bandit(ROOT, *SOURCES) == ALLOWED


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpacked_and_nobody_is_trusted(path: Path) -> None:
    assert by_name(path) == []


FOUND_BY_BANDIT = {
    "import pickle": "B403",
    "from os import system as s\ns(text)": "B605",
    "import torch\ntorch.load(path)": "B614",
    "import torch\ntorch.load(path, weights_only=False)": "B614",
    "import yaml\nyaml.load(text, Loader)": "B506",
    "from os import system\nsystem(text)": "B605",
    "import subprocess\nsubprocess.run(text, shell=True)": "B602",
    "import tarfile\ntarfile.open(path).extractall(folder)": "B202",
    "eval(text)": "B307",
    "exec(text)": "B102",
    "from datasets import load_dataset\nload_dataset(name)": "B615",
    "from huggingface_hub import hf_hub_download\nhf_hub_download(name, 'a')": "B615",
    "from transformers import AutoModelForCausalLM as A\nA.from_pretrained(name)": "B615",
}


def test_each_of_them_would_be_found_by_bandit(tmp_path: Path) -> None:
    expected = set()
    for number, (code, check) in enumerate(FOUND_BY_BANDIT.items()):
        (tmp_path / f"{number}.py").write_text(code)
        expected.add((f"{number}.py", check))
    found = by_bandit(tmp_path, ".")
    assert expected <= found.keys(), expected - found.keys()


@pytest.mark.parametrize(
    "code",
    [
        "from torch import load",
        "from yaml import load, Loader",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "subprocess.run(text, shell=flag)",
        "AutoModel.from_pretrained(name)",
        "AutoModelForCausalLM.from_pretrained(name)",
        "AutoModel.from_config(config)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "load_dataset(name, trust_remote_code=flag)",
        "torch.hub.load(repository, name)",
        "from torch import hub\nhub.load(repository, name)",
        "archive.extractall(folder)",
        "archive.extract(name)",
        "shutil.unpack_archive(archive, folder)",
        "shutil.unpack_archive(archive, folder, filter='tar')",
        "from shutil import unpack_archive as unpack\nunpack(archive, folder)",
        "pd.read_pickle(path)",
    ],
)
def test_each_of_them_would_be_found_by_its_name(code: str, tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(code)
    assert len(by_name(path)) == 1


def test_yaml_is_read_by_a_loader_of_plain_values() -> None:
    import yaml

    from idlib.commands.arguments import _Loader, settings_of
    from idlib.training.settings import SettingsError

    assert issubclass(_Loader, yaml.SafeLoader)
    with pytest.raises(SettingsError, match="cannot be read as YAML"):
        settings_of(["alpha=!!python/object/apply:os.system [echo]"])
