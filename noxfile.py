"""Sessions of the project: ``nox -l`` lists them, ``nox -s NAME`` runs one.

Each session makes its own environment with uv, or with virtualenv where there is no uv, from
``pyproject.toml`` and the pins in ``requirements/constraints.txt``, and keeps it.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import webbrowser
from pathlib import Path

import nox

nox.needs_version = ">=2024.3.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "tests"]

PROFILES = ("smoke", "small", "medium", "large", "paper")
SOURCES = ("embedded", "hub")  # or a folder
CONSTRAINTS = Path("requirements/constraints.txt")
NOTEBOOKS = Path("notebooks")
EXECUTED = Path("book/_executed")
BUILD = Path("book/_build")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
LOWEST_PYTHON = PYTHONS[0]
VERSIONS = (
    "import sys, torch, transformers as t; print(sys.version, torch.__version__, t.__version__)"
)
PAGES_FAILED = 3  # status of `idlib book` where some notebooks stopped
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
QUIET_KERNEL = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}


@nox.session(name="build-book")
def build_book(session: nox.Session) -> None:
    """Train what is missing, run the notebooks, and build the book in book/_build/html.

    nox -s build-book
    nox -s build-book -- --profile smoke
    nox -s build-book -- --profile paper --source hub
    nox -s build-book -- --profile small --source path/to/folder
    nox -s build-book -- --only images,claims

    Profiles: smoke (numbers mean nothing), small (default), medium, large, paper. Sources: embedded
    (default), hub (default of paper), or a folder with a folder of data for each task in it, by
    the task's name. With --only the other pages stay as they are, if they have been made before. A
    page whose notebook stops says why; the book is built all the same, and the session fails.
    """
    parser = _parser(session)
    parser.add_argument("--profile", choices=PROFILES, default="small")
    parser.add_argument("--source", type=_source)
    parser.add_argument("--only", type=_names, metavar="NAME,NAME")
    options = parser.parse_args(session.posargs)
    _install(session, "report")
    given = [f"--{key}={value}" for key, value in vars(options).items() if value]
    environment = {**ONE_THREAD, **QUIET_KERNEL}
    session.run("idlib", "book", *given, env=environment, success_codes=[0, PAGES_FAILED])
    failed = json.loads((EXECUTED / "build.json").read_text(encoding="utf-8"))["failed"]
    _forget_other_builds(options.profile)
    book = f"{session.bin}/jupyter-book"
    strict = [] if failed else ["-W"]  # what other pages take from one that failed is missing
    try:
        session.run(book, "build", "book", *strict, "-n", "--keep-going")
    except BaseException:  # Sphinx warns of a page when it reads it: let it read them all again
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        raise
    session.log(f"the book: {BUILD}/html/index.html (nox -s docs-serve for a working search)")
    if failed:
        session.error(f"these pages are not finished, and say why: {', '.join(failed)}")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests and the doctests, with at least 90 % of idlib covered.

    nox -s tests
    nox -s tests -- -m "not slow"
    nox -s tests -- tests/method -k gradient

    Arguments go to pytest, and no coverage is asked for then.
    """
    _install(session, "report", "test", "cluster")
    coverage = ["--cov=idlib", "--cov-report=term-missing:skip-covered", "--cov-fail-under=90"]
    processes = (os.cpu_count() or 1) + 1  # some of them wait, for a browser or a queue
    side_by_side = [f"-n{processes}", "--dist", "loadfile", "--no-loadscope-reorder"]
    arguments = [*side_by_side, *(session.posargs or [*coverage, "--durations=10"])]
    session.run("python", "-m", "pytest", *arguments, env={**ONE_THREAD, **QUIET_KERNEL})


@nox.session
def faults(session: nox.Session) -> None:
    """Kill, fill the disk, flip bytes, take rights away: nothing may be lost, no number wrong.

    nox -s faults
    nox -s faults -- -k flips

    About half an hour on two cores. What needs a small disk or another user is skipped, and says
    so, where this user may not have one.
    """
    _install(session, "report", "test")
    ours = ["-o", "python_files=fault_*.py", "-n", "auto", "--dist", "load", "tests/faults"]
    environment = {**ONE_THREAD, **QUIET_KERNEL}
    session.run("python", "-m", "pytest", *ours, *session.posargs, env=environment)


@nox.session(name="tests-lowest", python=LOWEST_PYTHON)
def tests_lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows, on the lowest Python.

    nox -s tests-lowest
    nox -s tests-lowest -- tests/method

    Without arguments the tests that neither train nor start processes, and the integrations. It
    needs uv, which alone resolves so, and that Python.
    """
    _test_versions(session, "--resolution", "lowest-direct")


@nox.session(name="tests-newest")
def tests_newest(session: nox.Session) -> None:
    """Run the tests with the newest versions that pyproject.toml allows, whatever is pinned.

    nox -s tests-newest
    nox -s tests-newest -- tests/method
    """
    _test_versions(session, "--upgrade")


@nox.session(name="tests-pythons", python=PYTHONS)
def tests_pythons(session: nox.Session) -> None:
    """Run the tests at the pinned versions on each Python that the project is for.

    nox -s tests-pythons
    nox -s tests-pythons-3.13 -- tests/method
    """
    _test_versions(session, "-c", str(CONSTRAINTS))


@nox.session
def package(session: nox.Session) -> None:
    """Build wheel and sdist, install the wheel into an empty environment, and test it there.

    nox -s package
    nox -s package -- tests/method

    The tests are those of the sdist, unpacked into a folder of its own, so that nothing is taken
    from the checkout. Both files stay in dist/.
    """
    session.install("build")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--quiet")
    (wheel,), (sdist,) = Path("dist").glob("*.whl"), Path("dist").glob("*.tar.gz")
    session.install(f"idlib[report,test] @ {wheel.resolve().as_uri()}", "-c", str(CONSTRAINTS))
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / sdist.name.removesuffix(".tar.gz"), ignore_errors=True)
    shutil.unpack_archive(sdist, folder, filter="data")
    with session.chdir(folder / sdist.name.removesuffix(".tar.gz")):
        shutil.rmtree("idlib")  # what is imported, or read as its source, is what is installed
        (installed,) = Path(session.virtualenv.location).glob("lib/python*/site-packages/idlib")
        Path("idlib").symlink_to(installed)
        _run_some_tests(session)


@nox.session
def examples(session: nox.Session) -> None:
    """Train by transformers' own script for GLUE, as it is and with one line more.

    nox -s examples -- path/to/transformers/examples/pytorch

    The folder is of their repository, at the version that is pinned.
    """
    parser = _parser(session)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(session.posargs).folder.resolve()
    if not (folder / "text-classification/run_glue.py").is_file():
        session.error(f"{folder} has no text-classification/run_glue.py")
    _install(session, "report", "test")
    session.install("evaluate", "scikit-learn", "-c", str(CONSTRAINTS))
    environment = {**ONE_THREAD, "IDLIB_TRANSFORMERS_EXAMPLES": str(folder)}
    test = "tests/integrations/test_their_script.py"
    session.run("python", "-m", "pytest", test, env=environment)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Hold the properties of tests/properties against thousands of drawn cases.

    nox -s fuzz
    nox -s fuzz -- -k losses
    nox -s fuzz -- --hypothesis-seed 7

    The tests draw the same twenty cases of each every time, this session a thousand others. A case
    that fails is printed in its smallest form, with a line that makes it again.
    """
    _install(session, "report", "test")
    asked = ["--hypothesis-profile=thorough", "tests/properties", *session.posargs]
    session.run("python", "-m", "pytest", *asked, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Check code and notebooks with ruff, that notebooks carry no outputs, and types with mypy.

    nox -s lint
    nox -s lint -- ruff

    With the argument ruff it ends before mypy, which needs all that idlib imports.
    """
    session.install("ruff", "-c", str(CONSTRAINTS))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    full = [name for name in _notebooks() if _has_outputs(NOTEBOOKS / f"{name}.ipynb")]
    if full:
        session.error(f"notebooks with outputs (clear them before committing): {', '.join(full)}")
    if "ruff" not in session.posargs:
        _install(session, "report", "lint")
        session.run("mypy")


@nox.session(name="audit-pins")
def audit_pins(session: nox.Session) -> None:
    """Ask PyPI's advisory service for known vulnerabilities of the pins; it needs the network.

    nox -s audit-pins
    """
    session.install("pip-audit")
    pins = ["--requirement", str(CONSTRAINTS), "--disable-pip", "--no-deps"]
    session.run("pip-audit", *pins, *session.posargs)


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run every notebook, at profile smoke unless said otherwise, without the book.

    nox -s notebooks
    nox -s notebooks -- --profile small
    """
    parser = _parser(session)
    parser.add_argument("--profile", choices=PROFILES, default="smoke")
    options = parser.parse_args(session.posargs)
    _install(session, "report")
    out = Path(session.create_tmp()) / "executed"
    shutil.rmtree(out, ignore_errors=True)
    given = [f"--profile={options.profile}", f"--out={out}"]
    session.run("idlib", "book", *given, env=QUIET_KERNEL)


@nox.session
def bench(session: nox.Session) -> None:
    """Time and peak memory of intra-distillation beside what it is compared with.

    nox -s bench
    nox -s bench -- loss step --out costs.json
    nox -s bench -- --task translation --profile smoke
    """
    _install(session)
    session.run("idlib", "bench", *session.posargs)


@nox.session(name="book-pdf")
def book_pdf(session: nox.Session) -> None:
    """Print the built book with the browser, as book/_build/intra-distillation.pdf.

    nox -s book-pdf
    nox -s book-pdf -- --without        # all pages
    CHROMIUM=path/to/chrome nox -s book-pdf

    It takes the pages as build-book has left them, and Debian's chromium, or the Chromium that the
    variable CHROMIUM names. Nothing is installed but what joins and prints the pages. Left out are
    the API reference and the list of records, which are as long as all others, or what --without
    names.
    """
    parser = _parser(session)
    parser.add_argument("--without", nargs="*", metavar="PAGE", default=["api", "records"])
    options = parser.parse_args(session.posargs)
    named = os.environ.get("CHROMIUM") or "chromium"
    browser = shutil.which(named)
    if browser is None:
        session.error(f"no {named}: install Debian's package chromium, or name one in CHROMIUM")
    if not (BUILD / "html/index.html").is_file():
        session.error("there is no book yet: nox -s build-book")
    project = Path("pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)[1]
    session.install("lxml", "playwright", "pypdf", "-c", str(CONSTRAINTS))
    given = [f"--version={version}", f"--browser={browser}"]
    if options.without:
        given += ["--without", *options.without]
    out = BUILD / "intra-distillation.pdf"
    session.run("python", "tools/print_book.py", str(BUILD / "html"), str(out), *given)


@nox.session(name="docs-serve", venv_backend="none")
def docs_serve(session: nox.Session) -> None:
    """Serve the built book over http, and open it in a browser if there is one.

    nox -s docs-serve
    nox -s docs-serve -- --port 9000
    """
    parser = _parser(session)
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one")
    options = parser.parse_args(session.posargs)
    if not (BUILD / "html/index.html").is_file():
        session.error("there is no book yet: nox -s build-book")
    pages = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(BUILD.resolve() / "html")
    )
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), pages)
    except OSError as error:
        session.error(f"port {options.port}: {error.strerror}; choose one with -- --port")
    address = f"http://127.0.0.1:{server.server_port}/"
    session.log(f"{address} (Ctrl-C ends)")
    try:
        webbrowser.open(address)
        server.serve_forever()
    except KeyboardInterrupt:
        session.log("ended")
    finally:
        server.server_close()


def _test_versions(session: nox.Session, *how: str) -> None:
    """Install idlib in a way of its own, and run the tests that show whether versions fit."""
    session.install("-e", ".[report,test]", *how)
    session.run("python", "-c", VERSIONS)
    _run_some_tests(session)


def _run_some_tests(session: nox.Session) -> None:
    quick = ["-m", "(not slow or versions) and not pinned"]
    warn = ["--override-ini", "filterwarnings=default"]  # of each other's versions
    arguments = ["-n", "auto", "--dist", "loadfile", *warn, *(session.posargs or quick)]
    session.run("python", "-m", "pytest", *arguments, env={**ONE_THREAD, **QUIET_KERNEL})


def _parser(session: nox.Session) -> argparse.ArgumentParser:
    """A parser whose errors end the session in one line, before anything is installed."""
    parser = argparse.ArgumentParser(prog=f"nox -s {session.name} --", allow_abbrev=False)
    parser.error = session.error
    return parser


def _source(value: str) -> str:
    if value not in SOURCES and not Path(value).is_dir():
        known = ", ".join(SOURCES)
        raise argparse.ArgumentTypeError(f"{value!r} is not one of {known} and not a folder")
    return value


def _names(value: str) -> str:
    """Names of notebooks with commas between them, as they are."""
    for name in value.split(","):
        if name.strip() not in _notebooks():
            known = ", ".join(_notebooks())
            raise argparse.ArgumentTypeError(f"{name.strip()!r} is not one of {known}")
    return value


def _notebooks() -> list[str]:
    return sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def _has_outputs(notebook: Path) -> bool:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def _forget_other_builds(profile: str) -> None:
    """Remove pages built at another profile or configuration: Sphinx would keep some of them."""
    inputs = [Path("book/_config.yml"), *sorted(Path("book/_ext").glob("*.py")), CONSTRAINTS]
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in inputs))
    stamp, text = BUILD / "built.txt", f"{profile} {wanted.hexdigest()}"
    if not stamp.is_file() or stamp.read_text() != text:
        shutil.rmtree(BUILD, ignore_errors=True)
        BUILD.mkdir(parents=True)
        stamp.write_text(text)


def _install(session: nox.Session, *extras: str) -> None:
    """Install idlib with extras at the pinned versions, unless that has been done already."""
    package = f".[{','.join(extras)}]" if extras else "."
    wanted = hashlib.sha256(CONSTRAINTS.read_bytes() + Path("pyproject.toml").read_bytes())
    stamp = Path(session.virtualenv.location) / "installed.txt"
    if stamp.is_file() and stamp.read_text() == f"{package} {wanted.hexdigest()}":
        return
    stamp.unlink(missing_ok=True)
    # Compiled once here, not at each of the many starts of a kernel or worker.
    session.install("-e", package, "-c", str(CONSTRAINTS), env={"UV_COMPILE_BYTECODE": "1"})
    stamp.write_text(f"{package} {wanted.hexdigest()}")
