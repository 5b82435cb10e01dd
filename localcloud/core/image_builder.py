"""`docker build` without Docker: a build context becomes an image, by the steps of its Dockerfile.

COPY, WORKDIR, ENV, ARG, ENTRYPOINT, CMD and the stages are carried out, and so is the installation
of Python packages by RUN. No base image is pulled, and no other command runs, since there is no
operating system of the image's own: everything of this kind is named in the build's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from localcloud.core.child_process import ChildProcesses
from localcloud.core.dockerfile import Copy, Dockerfile, Run, Stage, parse_dockerfile
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.image_packages import Duplicate, Install, Mode, Note, commands_of
from localcloud.core.image_store import ImageStore, StoredImage
from localcloud.core.image_tree import Content, File, Tree, copy_into, read_context, with_mode
from localcloud.core.local_projects import installed_from
from localcloud.core.package_layers import PackageLayers

# Of processors, in Docker's words; images are for the first one unless they say otherwise.
ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of a build.

    Attributes:
        architecture: one of ARCHITECTURES. The image records it, and runs on this machine.
        file: the path of the Dockerfile in the build context.
        target: the stage that becomes the image; by default the last one.
        arguments: the build arguments, by name.
    """

    architecture: str = ARCHITECTURES[0]
    file: str = "Dockerfile"
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Built:
    """The contents of a stage after its steps.

    Attributes:
        files: by path without the leading slash.
        layers: the ids of its packages' layers.
        runs: whether a command of it was not carried out or put its results elsewhere.
    """

    files: dict[str, Content] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)
    runs: bool = False


class ImageBuilder:
    """Builds images.

    Args:
        store: where they go.
        layers: the packages that they install.
        children: runs pip.
    """

    def __init__(self, store: ImageStore, layers: PackageLayers, children: ChildProcesses) -> None:
        self._store, self._layers, self._children = store, layers, children

    async def build(
        self, context_tar: bytes, options: BuildOptions, say: Callable[[str], None]
    ) -> StoredImage:
        """Build an image from a build context.

        Args:
            context_tar: a tar archive.
            options: those of `docker build`.
            say: gets a line of progress, from the event loop's thread.

        Returns: the image, with one sentence for everything that was not carried out.

        Raises:
            ImageError: no Dockerfile, one that cannot be carried out, a context that is damaged
                or too large, another architecture, or packages that cannot be installed.
        """
        if options.architecture not in ARCHITECTURES:
            raise ImageError(
                f"the architecture is '{options.architecture}'; it must be "
                f"{' or '.join(ARCHITECTURES)}"
            )
        files = await asyncio.to_thread(read_context, context_tar)
        dockerfile = _read(files, options)
        building = _Building(files, dockerfile, self._layers, self._children, say)
        built = await building.stage(dockerfile.target)
        config = replace(
            dockerfile.config, architecture=options.architecture, packages=built.layers
        )
        stored = await asyncio.to_thread(self._store.add, built.files, config)
        return replace(stored, notes=[*dockerfile.notes, *building.notes])


def _read(files: Mapping[str, Content], options: BuildOptions) -> Dockerfile:
    dockerfile = Tree(files).file(options.file)
    if dockerfile is None:
        raise ImageError(f"the directory holds no {options.file}")
    try:
        text = dockerfile.content.decode()
    except UnicodeDecodeError as error:
        raise ImageError(f"the {options.file} is not UTF-8: {error}") from None
    return parse_dockerfile(
        text, options.arguments, target=options.target, architecture=options.architecture
    )


class _Building:
    """One build.

    Attributes:
        notes: a sentence for each command that was not carried out.
    """

    def __init__(
        self,
        context: Mapping[str, Content],
        dockerfile: Dockerfile,
        layers: PackageLayers,
        children: ChildProcesses,
        say: Callable[[str], None],
    ) -> None:
        self._context, self._dockerfile = Tree(context), dockerfile
        self._layers, self._children, self._say = layers, children, say
        self._built: dict[str, _Built] = {}
        self.notes: list[str] = []

    async def stage(self, name: str) -> _Built:
        """Return a stage after its steps; the stages that it needs are built first."""
        # In the order of the Dockerfile, so that none of them waits for another one.
        for stage in self._needed(name):
            built = _Built()
            base = self._dockerfile.stage(stage.base)
            if base is not None and base.name in self._built:
                before = self._built[base.name]
                built = _Built(dict(before.files), list(before.layers), before.runs)
            for step in stage.steps:
                if isinstance(step, Copy):
                    await asyncio.to_thread(self._copy, built, step)
                else:
                    await self._run(built, step)
            self._built[stage.name] = built
        return self._built[self._target(name).name]

    def _target(self, name: str) -> Stage:
        stage = self._dockerfile.stage(name)
        assert stage is not None  # noqa: S101 - parse_dockerfile has checked it
        return stage

    def _needed(self, name: str) -> list[Stage]:
        """Return the stages that one depends on, and itself, in their order, as BuildKit does."""
        wanted, left = set[str](), [self._target(name)]
        while left:
            stage = left.pop()
            if stage.name in wanted:
                continue
            wanted.add(stage.name)
            binds = [bind for step in stage.steps if isinstance(step, Run) for bind in step.binds]
            origins = [step.stage for step in stage.steps if isinstance(step, Copy)]
            for other in (stage.base, *origins, *(origin for _, origin, _ in binds)):
                found = self._dockerfile.stage(other) if other else None
                if found is not None:
                    left.append(found)
        return [stage for stage in self._dockerfile.stages if stage.name in wanted]

    def _copy(self, built: _Built, step: Copy) -> None:
        for document in step.documents:
            name = step.target.strip("/")
            name = f"{name}/{document.name}".strip("/") if step.target.endswith("/") else name
            built.files[name] = with_mode(File(document.text.encode()), step.mode)
        if not step.sources:
            return
        origin, stage = self._context, None
        if step.stage:
            stage = self._dockerfile.stage(step.stage)
            if stage is None:
                self.notes.append(
                    f"COPY --from={step.stage} {' '.join(step.sources)}: not carried out, because "
                    "no image is pulled."
                )
                return
            origin = Tree(self._built[stage.name].files)
        missing = copy_into(built.files, origin, step.sources, step.target, step.mode)
        if stage is None:
            if missing:
                raise ImageError(f"COPY {missing[0]}: the directory holds no such file")
            return
        before = self._built[stage.name]
        if missing and not before.runs:
            raise ImageError(f"COPY --from={step.stage} {missing[0]}: the stage holds no such file")
        # A stage's packages are in layers, wherever its commands would have put them, so a copy
        # from it brings all of them.
        if before.layers[: len(built.layers)] == built.layers:
            built.layers = list(before.layers)
        elif built.layers[: len(before.layers)] != before.layers:
            raise ImageError(
                f"COPY --from={step.stage} {step.sources[0]}: two stages install packages, and "
                "the local cloud takes those of one. Install them in one stage"
            )
        for source in missing:
            text = "the image has its packages" if before.layers else "no RUN has made it here"
            self.notes.append(f"COPY --from={step.stage} {source}: not carried out; {text}.")

    async def _run(self, built: _Built, step: Run) -> None:
        built.runs = True
        files = dict(built.files)
        for target, stage, source in step.binds:
            known = self._dockerfile.stage(stage) if stage else None
            if stage and known is None:
                continue
            origin = self._context if known is None else Tree(self._built[known.name].files)
            copy_into(files, origin, [source], target)
        tree = Tree(files)

        def read(path: str) -> bytes | None:
            found = tree.file(path.lstrip("/"))
            return None if found is None else found.content

        versions: dict[int, Callable[[str], str | None]] = {}

        def version(name: str) -> str | None:
            count = len(built.layers)
            if count not in versions:
                versions[count] = self._layers.version(built.layers)
            return versions[count](name)

        commands = commands_of(step, read, version, installed_from)
        # In a thread: a look at the installed packages reads their files.
        while (command := await asyncio.to_thread(next, commands, None)) is not None:
            match command:
                case Note(text):
                    self.notes.append(text)
                case Mode(mode, paths):
                    for path in paths:
                        name = tree.resolve(path)
                        if name in built.files:
                            built.files[name] = with_mode(built.files[name], mode)
                case Duplicate(sources, target):
                    inside = Tree(built.files).below(target.strip("/")) is not None
                    target += "/" if inside and not target.endswith("/") else ""
                    missing = copy_into(built.files, tree, sources, target)
                    self.notes += [f"RUN cp {name}: not carried out." for name in missing]
                case Install():
                    built.layers = await self._layers.add(
                        self._children, built.layers, command, files, self._say
                    )
