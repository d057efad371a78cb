"""A Dockerfile carried out without a container engine: its own lines, in a root of their own.

Each stage is a directory that holds this machine's /usr, /etc and Python as overlays: a line may
change whatever it likes there and nothing here. What stands in for the base image is therefore this
machine; everything after FROM is done as written. Needs root and mount namespaces.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Instructions that only say something to an engine, and what that leaves open.
NOT_COVERED = {
    "FROM": "no image is pulled: this machine's system and Python stand in for the base",
    "LABEL": "there is no image to carry them",
    "EXPOSE": "there is no network of its own",
    "VOLUME": "a directory of the test's is mounted there instead",
    "STOPSIGNAL": "the test sends the signal, not an engine",
    "HEALTHCHECK": "its command is run by the test, not at its interval",
}
PYTHON_HOME = Path(sys.base_prefix)
DEVICES = ("null", "zero", "random", "urandom")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined."""

    name: str
    text: str


def instructions(dockerfile: str) -> list[Instruction]:
    """The instructions of a Dockerfile in order."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [Instruction(name.upper(), text.strip()) for name, _, text in pairs]


def can_be_had() -> bool:
    """Whether this machine lets us mount overlays in a namespace of our own."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "chroot"))):
        return False
    script = (
        "mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work && mount -t overlay"
        " -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt"
    )
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True)
    return done.returncode == 0


@dataclass
class Stage:
    """What a stage came to: its root, and how a process in it is started."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    commands: dict[str, list[str]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.directory / "root"

    def path(self, place: str) -> Path:
        """Where a place inside is to be found from outside; not for what lies in an overlay."""
        return self.root / place.lstrip("/")

    def prepare(self) -> Stage:
        """Make the root, with this machine's Python where the base image has its own."""
        for place in ("dev", "proc", "tmp", "opt", "var/lib", "usr", "etc"):
            self.path(place).mkdir(parents=True, exist_ok=True)
        self.path("tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                self.path(name).symlink_to(Path("/", name).readlink())
        for lower in self._overlaid():
            self.path(str(lower)).mkdir(parents=True, exist_ok=True)
        python = PYTHON_HOME / "bin" / f"python3.{sys.version_info.minor}"
        self.run([str(python), "-m", "venv", "--clear", "/usr/local"]).check_returncode()
        self.environment["PATH"] = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin"
        return self

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        **options: object,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside as the stage's user, to its end."""
        outer = self.outer(command, environment, **options)  # type: ignore[arg-type]
        return subprocess.run(outer, capture_output=True, text=True, timeout=600, check=False)

    def outer(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        bound: Mapping[str, str] | None = None,
        network: bool = True,
        read_only: bool = False,
        first_process: bool = False,
    ) -> list[str]:
        """The command line outside that runs a command inside.

        ``bound`` are directories of this machine by the place where they are found inside. As
        ``first_process`` it is process 1 of a namespace, without any capability.
        """
        lines = self._mounts(bound or {}, read_only=read_only)
        user, _, group = self.user.partition(":")
        drop = ["--no-new-privs", "--bounding-set=-all"] if first_process else []
        inside = [
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *drop),
            *(
                "env",
                "-i",
                *(f"{k}={v}" for k, v in {**self.environment, **(environment or {})}.items()),
            ),
            *("sh", "-c", f"cd {shlex.quote(self.workdir)} && exec {shlex.join(command)}"),
        ]
        lines.append(f"exec chroot {self.root} {shlex.join(inside)}")
        isolate = ["--mount", "--propagation", "private"]
        isolate += [] if network else ["--net"]
        isolate += ["--pid", "--fork", "--kill-child"] if first_process else []
        return ["unshare", *isolate, "sh", "-ec", "\n".join(lines)]

    def _overlaid(self) -> list[Path]:
        lowers = [Path("/usr"), Path("/etc")]
        return lowers if PYTHON_HOME.is_relative_to("/usr") else [*lowers, PYTHON_HOME]

    def _mounts(self, bound: Mapping[str, str], *, read_only: bool) -> list[str]:
        """Shell lines that make the root as a process in it sees it."""
        lines = [f"mount --bind {self.root} {self.root}", f"cd {self.root}"]
        for number, lower in enumerate(self._overlaid()):
            upper, work = self.directory / f"upper{number}", self.directory / f"work{number}"
            upper.mkdir(exist_ok=True)
            work.mkdir(exist_ok=True)
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            lines.append(f"mount -t overlay -o {options} overlay {self.path(str(lower))}")
        lines.append("mount -t tmpfs -o mode=755 tmpfs dev && mkdir dev/shm && chmod 1777 dev/shm")
        lines += [f"touch dev/{name} && mount --bind /dev/{name} dev/{name}" for name in DEVICES]
        lines.append("mount -t proc proc proc")
        if read_only:
            lines.append(f"mount -o remount,bind,ro {self.root}")
            lines += [f"mount -o remount,ro {self.path(str(lower))}" for lower in self._overlaid()]
            lines.append("mount -t tmpfs -o mode=1777 tmpfs tmp")
        for source, place in bound.items():
            self.path(place).mkdir(parents=True, exist_ok=True)
            lines.append(f"mount --bind {shlex.quote(source)} {self.path(place)}")
        return lines


@dataclass
class Build:
    """A build from a context directory, stage by stage."""

    context: Path
    directory: Path
    arguments: dict[str, str] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    names: dict[str, Stage] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def carry_out(self, instruction: Instruction) -> None:
        """Do what an instruction says."""
        name = instruction.name
        text = instruction.text if name == "RUN" else self._expanded(instruction.text)
        if name == "ARG":
            self.arguments.setdefault(text.partition("=")[0], text.partition("=")[2])
        elif name == "FROM":
            self._begin(text)
        elif name == "RUN":
            self._run(text)
        elif name == "COPY":
            self._copy(text)
        elif name == "ENV":
            self.stage.environment.update(word.split("=", 1) for word in shlex.split(text))
        elif name == "WORKDIR":
            self.stage.workdir = text
            self.stage.path(text).mkdir(parents=True, exist_ok=True)
        elif name == "USER":
            self.stage.user = text
        elif name in ("ENTRYPOINT", "CMD"):
            self.stage.commands[name] = json.loads(text)
        elif name == "HEALTHCHECK":
            self.stage.commands[name] = json.loads(text.partition(" CMD ")[2])
        elif name not in NOT_COVERED:
            raise ValueError(f"the test does not know the instruction {name}")
        self.done.append(name)

    @property
    def stage(self) -> Stage:
        return self.stages[-1]

    def _expanded(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda found: self.arguments[found[1]], text)

    def _begin(self, text: str) -> None:
        stage = Stage(self.directory / f"stage{len(self.stages)}").prepare()
        self.stages.append(stage)
        if " AS " in text:
            self.names[text.partition(" AS ")[2]] = stage

    def _run(self, text: str) -> None:
        """Only what downloads has a network and this machine's settings for its index."""
        index = "pip download" in text
        settings, bound = _index_settings() if index else ({}, {})
        done = self.stage.run(["sh", "-c", text], settings, network=index, bound=bound)
        assert done.returncode == 0, f"RUN {text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def _copy(self, text: str) -> None:
        words = text.split()
        source = self.context
        if words[0].startswith("--from="):
            source = self.names[words.pop(0).removeprefix("--from=")].root
        *names, target = words
        place = self.stage.path(str(Path(self.stage.workdir, target)))
        if place.is_relative_to(self.stage.path("/usr")):  # below an overlay: seen from inside only
            place = (
                self.directory
                / f"{self.stage.directory.name}/upper0"
                / place.relative_to(self.stage.path("/usr"))
            )
        for name in names:
            found = source / name.lstrip("/")
            if found.is_dir():
                # Into another's place, its content; .dockerignore leaves caches out.
                ignored = shutil.ignore_patterns("__pycache__") if source == self.context else None
                shutil.copytree(found, place, symlinks=True, ignore=ignored, dirs_exist_ok=True)
            else:
                into = place / found.name if target.endswith("/") else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, into)


def _index_settings() -> tuple[dict[str, str], dict[str, str]]:
    """This machine's way to its package index: pip's settings, and directories that they name."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    settings = {name: text for name, text in os.environ.items() if _is_about_the_network(name)}
    for name, text in re.findall(
        r"^(?:global|:env:|site|user|download)\.([\w-]+)='(.*)'$", listed.stdout, re.M
    ):
        settings[f"PIP_{name.upper().replace('-', '_')}"] = text.replace("\\n", " ")
    words = " ".join(settings.values()).replace("file://", "").split()
    # An index on disk has its files beside its pages.
    places = {word.removesuffix("/simple") for word in words if word.startswith("/")}
    directories = {place for place in places if Path(place).is_dir() and place[:5] != "/etc/"}
    return settings, {place: place for place in sorted(directories)}


def _is_about_the_network(name: str) -> bool:
    return (
        name.startswith("PIP_")
        or name.lower().endswith("_proxy")
        or "CA_BUNDLE" in name
        or name.startswith("SSL_CERT")
    )
