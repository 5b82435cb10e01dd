"""Builds the extension; without a compiler, an installation without it."""

from __future__ import annotations

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "tree_walk",
            ["tree_walk.c"],
            extra_compile_args=["-O3", "-std=c11", "-fno-sanitize=undefined"],
            libraries=["m"],
            optional=True,
            py_limited_api=True,
        )
    ]
)
