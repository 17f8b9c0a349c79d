"""pyproject.toml, requirements/constraints.txt and environment.yml say the same."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest brings its twin
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [Requirement(line) for line in sum(EXTRAS.values(), start=PROJECT["dependencies"])]
PINS = [
    Requirement(line)
    for line in (ROOT / "requirements/constraints.txt").read_text().splitlines()
    if line.strip()
]

# Hosts and options that would tie an installation to one place, and files of packages.
FORBIDDEN = re.compile(
    r"pypi[.]org|pythonhosted[.]org|conda[.]anaconda[.]org|download[.]pytorch[.]org"
    r"|registry[.]npmjs[.]org|//[^\s/]+/simple\b"
    r"|(?<!no-emit)-index-url[ =]\S|--find-links[ =]\S|https?://\S+[.](?:whl|tar[.]gz|conda)\b",
    re.IGNORECASE,
)
SKIPPED = {"_build", "_executed", "build", "dist", "__pycache__"}


def pins_of(name: str) -> list[Requirement]:
    return [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(name)]


def only_version(pin: Requirement) -> str:
    (one,) = pin.specifier
    assert one.operator == "==", f"{pin} is not pinned"
    return one.version


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement):
    pins = pins_of(requirement.name)
    assert pins, f"{requirement.name} is not in constraints.txt"
    for pin in pins:
        assert requirement.specifier.contains(only_version(pin)), f"{pin} is outside {requirement}"


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_each_python_has_one_version_of_each_dependency(python):
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    environment = {"python_version": python, "python_full_version": f"{python}.9"}
    for requirement in REQUIREMENTS:
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        pins = pins_of(requirement.name)
        fit = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment)]
        assert len(fit) == 1, f"Python {python} gets {len(fit)} versions of {requirement.name}"


def test_environment_yml_uses_the_same_files():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    constraints, project = pip
    assert constraints == "-c requirements/constraints.txt"
    extras = re.fullmatch(r"-e \.\[(.*)\]", project).group(1).split(",")
    assert sorted(extras) == sorted(EXTRAS)
    (python,) = [e for e in environment["dependencies"] if str(e).startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))


def test_citation_and_licence_agree_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "MIT"
    (paper,) = citation["references"]
    assert {"type": "other", "value": "arXiv:2205.11416", "description": "preprint"} in paper[
        "identifiers"
    ]
    (author,) = PROJECT["authors"]
    assert f"Copyright (c) 2026 {author['name']}" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("name", sorted(os.listdir(ROOT / "idlib/data/embedded")))
def test_embedded_data_has_its_licence_source_and_checksums(name):
    path = ROOT / "idlib/data/embedded" / name
    licence = {
        "fashion_mnist": "Permission is hereby granted",
        "multilingual_e5_small": "Permission is hereby granted",
        "libreoffice_help": "Mozilla Public",
    }
    assert licence[name] in (path / "LICENSE").read_text()
    assert "## Source" in (path / "SOURCE.md").read_text()
    lines = [line.split() for line in (path / "CHECKSUMS").read_text().splitlines()]
    assert {str(file.relative_to(path)) for file in path.rglob("*.parquet")} <= {
        n for _, n in lines
    }
    assert all(sha256((path / name).read_bytes()).hexdigest() == sum_ for sum_, name in lines)


def test_no_file_names_an_index_or_a_package_file():
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            d
            for d in folders
            if d not in SKIPPED and not d.endswith(".egg-info") and (d[0] != "." or d == ".ci")
        ]
        for name in files:
            path = Path(folder) / name
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:  # not text
                continue
            found += [f"{path.relative_to(ROOT)}: {m.group()}" for m in FORBIDDEN.finditer(text)]
    assert not found
