"""Images that are built without a server."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from localcloud.core.child_process import ChildProcesses
from localcloud.core.image_builder import ARCHITECTURES, BuildOptions, ImageBuilder
from localcloud.core.image_store import Image, ImageStore, StoredImage
from localcloud.core.package_layers import PackageLayers


class Images:
    """An image store and a builder for it.

    Attributes:
        lines: what the builds have said.
    """

    def __init__(self, directory: Path, packages: Path | None = None) -> None:
        self.layers = PackageLayers(packages or directory.parent / "packages")
        self.store = ImageStore(directory, self.layers)
        self.lines: list[str] = []

    def add(
        self,
        context: bytes,
        architecture: str = ARCHITECTURES[0],
        *,
        target: str = "",
        arguments: Sequence[str] = (),
        file: str = "Dockerfile",
    ) -> StoredImage:
        """Build an image from a build context."""
        given = dict(argument.split("=", 1) for argument in arguments)
        options = BuildOptions(architecture, file, target, given)

        async def build() -> StoredImage:
            children = ChildProcesses()
            try:
                builder = ImageBuilder(self.store, self.layers, children)
                return await builder.build(context, options, self.lines.append)
            finally:
                await children.close()

        return asyncio.run(build())

    def get(self, digest: str) -> Image:
        """Return an image."""
        return self.store.get(digest)


def wheel(name: str, version: str, module: str, requires: Sequence[str] = ()) -> tuple[str, bytes]:
    """Return the name and the bytes of a wheel with one module, which is made without a build."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    files = {
        f"{name}.py": module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-program = {name}:main\n",
    }
    record = io.StringIO()
    rows = csv.writer(record)
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.writerow([path, f"sha256={digest.decode()}", len(text.encode())])
    rows.writerow([f"{info}/RECORD", "", ""])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", record.getvalue())
    return f"{name}-{version}-py3-none-any.whl", buffer.getvalue()
