"""What is installed is what lies here: packages, locks, links for type checkers, licence, make targets."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

LAYERS = ("schemas", "projections", "producers", "streams", "api", "runtime")
LOCKS = ("requirements.lock", "requirements-dev.lock")


@pytest.fixture(scope="module")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(requirements: list[str]) -> set[str]:
    matches = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {_canonical(match.group()) for match in matches if match}


def _locked(lock: str) -> set[str]:
    return {_canonical(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}


def test_every_package_below_the_layers_is_installed(
    pyproject: dict[str, Any], tracked: tuple[Path, ...], root: Path
) -> None:
    there = {
        "customer_timeline." + ".".join(path.parent.relative_to(root).parts)
        for path in tracked
        if path.name == "__init__.py" and path.relative_to(root).parts[0] in LAYERS
    }
    assert there == set(pyproject["tool"]["setuptools"]["packages"])


def test_every_module_lies_in_a_package(tracked: tuple[Path, ...], root: Path) -> None:
    modules = [path for path in tracked if path.suffix == ".py" and path.relative_to(root).parts[0] in LAYERS]
    assert [str(path.relative_to(root)) for path in modules if not (path.parent / "__init__.py").exists()] == []


def test_type_checkers_find_every_layer(root: Path) -> None:
    links = {link.name: link.readlink() for link in (root / ".typing" / "customer_timeline").iterdir()}
    assert links == {layer: Path("../..") / layer for layer in LAYERS}


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash_and_no_address(name: str, root: Path) -> None:
    text = (root / name).read_text()
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_the_locks_hold_every_declared_dependency(pyproject: dict[str, Any], root: Path) -> None:
    project = pyproject["project"]
    extras = {name: _names(needs) - {"customer-timeline"} for name, needs in project["optional-dependencies"].items()}
    runtime = _names(project["dependencies"]) | extras["worker"] | extras["api"] | extras["embedded"]
    assert runtime <= _locked((root / "requirements.lock").read_text())
    assert runtime | extras["dev"] | extras["bench"] <= _locked((root / "requirements-dev.lock").read_text())


def test_both_locks_agree_on_every_version(root: Path) -> None:
    pins = [set(re.findall(r"^(\S+==\S+)", (root / name).read_text(), re.MULTILINE)) for name in LOCKS]
    assert pins[0] <= pins[1]


def test_the_licence_is_the_whole_apache_licence(root: Path) -> None:
    text = (root / "LICENSE").read_text()
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    assert "9. Accepting Warranty or Additional Liability." in text


def test_every_make_target_that_is_written_about_exists_and_is_in_the_help(texts: dict[Path, str], root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    described = set(re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert described == set(phony.group(1).split())
    written = {
        target for path, text in texts.items() if path.suffix == ".md" for target in re.findall(r"`make ([a-z]+)", text)
    }
    assert written <= described


def test_every_marker_that_keeps_a_test_out_of_the_suite_has_a_make_target(
    pyproject: dict[str, Any], root: Path
) -> None:
    markers = {entry.split(":")[0] for entry in pyproject["tool"]["pytest"]["ini_options"]["markers"]}
    left_out = markers - {"docker"}
    makefile = (root / "Makefile").read_text()
    assert all(re.search(rf"^{marker}:", makefile, re.MULTILINE) for marker in left_out)


def test_the_wheel_holds_every_module_and_every_file_that_the_code_reads(
    tracked: tuple[Path, ...], root: Path, tmp_path: Path
) -> None:
    # A copy of what is tracked: what merely lies beside it must not make the wheel complete.
    source = tmp_path / "source"
    for path in tracked:
        target = source / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", tmp_path, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("customer_timeline-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        licence = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
    wanted = {
        f"customer_timeline/{path.relative_to(root).as_posix()}"
        for path in tracked
        if path.relative_to(root).parts[0] in LAYERS and (path.suffix != ".md" or "data" in path.parts)
    }
    assert packed == wanted
    assert licence
