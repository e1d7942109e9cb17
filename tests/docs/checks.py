"""Checks of a command without running it: everything that it names exists.

Commands of Python are parsed by their own command lines (`cli.py`); targets of make, folders, images and Kubernetes
objects are looked up in the repository. An unknown command is a finding too: it may be a misspelling.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from tests.docs.cli import refuse
from tests.docs.words import Words
from tests.support.process import ROOT

OURS = frozenset({"models", "service", "training", "tests"})
TREES = ("docs/", "deploy/", "k8s/", "service/", "training/", "tests/", "models/", ".ci/")
MADE = ("models/bundles", "k8s/bundle", "deploy/keys")
"""Created by the user's commands; not in the repository."""
IMAGE = re.compile(r"(?:.*/)?(ticket-router-(?:service-gpu|[a-z]+))(?:[:@].*)?")
OBJECT = re.compile(r"(?:deployment|deploy|cronjob|service|svc|configmap|cm|hpa|pdb|secret|pvc)/([\w.-]+)")
PLAIN = """
. apt-get aws az basename cat cd chmod cp curl cut date dirname echo export expr false gcloud git grep head helm jq kill
kind less ls minikube minisign mkdir mv nproc open openssl oras printf ps read readlink realpath rm sed sha256sum sleep
sort source sync tail tar tee test time timeout touch trap true uniq wait wc xargs
"""
"""Known commands that are not checked further."""


def faults(words: Words) -> Iterator[str]:
    """The faults of a simple command."""
    head = words[0].rsplit("/", 1)[-1]
    check = CHECKS.get("python" if re.fullmatch(r"python[\d.]*", head) else head)
    if check is not None:
        yield from check(words)
    elif head not in PLAIN.split():
        yield f"unknown command {head!r}; add it to tests/docs/checks.py if it is correct"
    yield from _paths(words)


def _python(words: Words) -> Iterator[str]:
    if "-m" not in words[1:3]:
        return
    at = words.index("-m")
    module, arguments = words[at + 1], words[at + 2 :]
    if module.split(".")[0] in OURS:
        arguments = tuple(word for word in arguments if word != "…")
        wrong = refuse(module, arguments)
        if wrong is not None:
            yield f"python -m {module} {' '.join(arguments)}: {wrong}"


def _make(words: Words) -> Iterator[str]:
    for word in words[1:]:
        if "=" not in word and not word.startswith("-") and word not in _targets():
            yield f"make has no target {word!r}"


def _torchrun(words: Words) -> Iterator[str]:
    yield from _python(("python", *words[words.index("-m") :]))


def _images(words: Words) -> Iterator[str]:
    """Images and build targets are those of the Dockerfile; a bundle's image is built without a target."""
    for word in words:
        found = IMAGE.fullmatch(word)
        if found and found[1].removeprefix("ticket-router-") not in {*_stages(), "bundles"}:
            yield f"{found[1]} is no target of the Dockerfile"
    for flag, value in pairwise(words):
        if flag == "--target" and value not in _stages():
            yield f"--target {value} is no target of the Dockerfile"


def _kubectl(words: Words) -> Iterator[str]:
    for word in words:
        found = OBJECT.fullmatch(word)
        if found and not re.search(rf"^\s*name: \"?{re.escape(found[1])}\"?\s*$", _manifests(), re.MULTILINE):
            yield f"no manifest in k8s/ has the name {found[1]!r}"


def _paths(words: Words) -> Iterator[str]:
    for word in words:
        path = word.partition("=")[2] if word.startswith("-") else word
        if not OBJECT.fullmatch(path) and is_missing(path):
            yield f"{path} is not there"


def is_missing(path: str) -> bool:
    """Whether this is a path inside the repository that does not exist."""
    ours = path.startswith(TREES) and not path.startswith(MADE) and not re.search(r"[*…{<\s]", path)
    return ours and not (ROOT / path).exists()


@functools.cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@functools.cache
def _stages() -> frozenset[str]:
    return frozenset(re.findall(r"^FROM .* AS ([\w-]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE | re.I))


@functools.cache
def _manifests() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "k8s").rglob("*.yaml"))


CHECKS: Mapping[str, Callable[[Words], Iterator[str]]] = {
    "python": _python,
    "torchrun": _torchrun,
    "make": _make,
    "kubectl": _kubectl,
    **dict.fromkeys(("docker", "buildah", "podman", "skopeo"), _images),
    **dict.fromkeys(("haproxy", "nginx", "promtool", "prometheus", "optimum-cli"), lambda _words: iter(())),
}
