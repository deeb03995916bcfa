"""``karma <job> ...``: the mains of spark-submit, one word away. A job's module is imported when it is called, not before."""

import ast
import difflib
import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from typing import Any

import jobs
from schemas.names import EXIT_DONE, EXIT_USAGE

HELP_FLAGS = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job that comes first in ``argv`` (default: the command line) with the arguments after it; its exit code.

    Without a job, or with --help, lists the jobs. A job that does not exist: exit code 2 and the nearest names.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    known = find_jobs()
    if not words or words[0] in HELP_FLAGS:
        sys.stdout.write(_overview(known))
        return EXIT_DONE if words else EXIT_USAGE
    job, *arguments = words
    if job not in known:
        sys.stderr.write(_unknown(job, known))
        return EXIT_USAGE
    code: int = importlib.import_module(known[job].module).main(arguments)
    return code


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job's module, and its line in the list of jobs."""

    module: str
    summary: str


def find_jobs() -> dict[str, Job]:
    """All jobs by the name that a user types, sorted: ``{"ingest-events": Job(module="jobs.ingest_events", ...), ...}``.

    A job is a module of this package, or a package with a ``__main__``, that defines ``main``. Nothing is imported for it.
    """
    found = {}
    for name, module, source in sorted(_sources()):
        tree = ast.parse(source)
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[name.replace("_", "-")] = Job(module=module, summary=_summary(ast.get_docstring(tree) or ""))
    return found


def _sources() -> Iterator[tuple[str, str, str]]:
    """Name, module path and source text of each candidate."""
    for finder, name, is_package in pkgutil.iter_modules(jobs.__path__):
        module = f"jobs.{name}"
        spec = finder.find_spec(module, None)
        if is_package and spec is not None:
            module = f"{module}.__main__"
            spec = PathFinder.find_spec(module, spec.submodule_search_locations)
        if spec is None or module in (__name__, "jobs.__main__"):
            continue
        loader: Any = spec.loader  # of files or of a zip: both give the source
        yield name, module, loader.get_source(module)


def _summary(docstring: str) -> str:
    """The first line, without the job's own name in front."""
    line = docstring.partition("\n")[0]
    return line.partition(": ")[2] or line


def _overview(known: Mapping[str, Job]) -> str:
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {job.summary}" for name, job in known.items()]
    return "\n".join(["usage: karma <job> [arguments]     karma <job> --help tells its arguments", "", *lines, ""])


def _unknown(job: str, known: Mapping[str, Job]) -> str:
    near = difflib.get_close_matches(job, known, n=3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"karma: no job is called {job!r}.{meant} `karma --help` lists them.\n"
