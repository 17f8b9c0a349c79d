"""No line of the code reads objects, runs what it was given, or unpacks what it did not make."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("idlib", "book/_ext", "tools", "workflow")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
SOURCES.append(ROOT / "noxfile.py")

# Modules whose files run code when they are read, or which build objects of any class.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
# Calls by their last two names, and the keyword that makes them safe.
NEED = {
    "torch.load": ("weights_only", True),
    "AutoTokenizer.from_pretrained": ("trust_remote_code", False),
    "AutoConfig.from_pretrained": ("trust_remote_code", False),
    "AutoModel.from_pretrained": ("trust_remote_code", False),
    "AutoModel.from_config": ("trust_remote_code", False),
    "shutil.unpack_archive": ("filter", "data"),
}
NEVER = {
    *("os.system", "os.popen", "pd.read_pickle", "pandas.read_pickle", "np.fromregex"),
    *("archive.extractall", "archive.extract", "yaml.unsafe_load", "yaml.full_load"),
}
# A notebook is code, and its parameters are read as papermill would; nobody else's text is run.
MAY_RUN_CODE = {"idlib/book/parameters.py"}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """The calls of a file, by at most the last two of their names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ".".join(ast.unparse(node.func).split(".")[-2:]), node


def faults(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
        modules = names if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
        if {module.split(".")[0] for module in modules} & UNSAFE_MODULES:
            found.append(f"{node.lineno}: imports {modules}")
    for name, call in calls(path):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        values = {key: node.value for key, node in given.items() if isinstance(node, ast.Constant)}
        last = name.split(".")[-1]
        if name in NEED and values.get(NEED[name][0], "") != NEED[name][1]:
            found.append(f"{call.lineno}: {name} without {NEED[name][0]}={NEED[name][1]}")
        elif name in NEVER or last in ("extractall", "unsafe_load"):
            found.append(f"{call.lineno}: {name}")
        elif values.get("shell") is True or values.get("allow_pickle") is True:
            found.append(f"{call.lineno}: {name} with {sorted(values)}")
        elif values.get("trust_remote_code"):
            found.append(f"{call.lineno}: {name} runs code of a repository")
        elif (
            name == "yaml.load"
            and "Safe" not in ast.unparse(call)
            and "_Loader" not in ast.unparse(call)
        ):
            found.append(f"{call.lineno}: {name} without a safe loader")
        elif name in ("exec", "eval") and str(path.relative_to(ROOT)) not in MAY_RUN_CODE:
            found.append(f"{call.lineno}: {name}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_run_or_unpacked(path: Path) -> None:
    assert faults(path) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "load_dataset(name, trust_remote_code=True)",
        "archive.extractall(folder)",
        "shutil.unpack_archive(archive, folder)",
        "shutil.unpack_archive(archive, folder, filter='tar')",
        "yaml.load(text, Loader)",
        "subprocess.run(text, shell=True)",
        "eval(text)",
    ],
)
def test_each_of_them_would_be_found(code: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "one.py"
    path.write_text(code)
    assert len(faults(path)) == 1


def test_yaml_is_read_by_a_loader_of_plain_values() -> None:
    import yaml

    from idlib.commands.arguments import _Loader, settings_of
    from idlib.training.settings import SettingsError

    assert issubclass(_Loader, yaml.SafeLoader)
    with pytest.raises(SettingsError, match="cannot be read as YAML"):
        settings_of(["alpha=!!python/object/apply:os.system [echo]"])
