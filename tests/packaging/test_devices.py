"""Which llama.cpp build a machine gets, from recorded readings of machines."""

from dataclasses import replace

import pytest

from setup.devices import BuildPlan, Readings, plan_build, read_machine

LINUX = Readings("Linux", "x86_64")
MAC = Readings("Darwin", "arm64")
VULKAN_TOOLS = {"glslc": "/usr/bin/glslc", "vulkan_headers": True, "spirv_headers": True}
NVCC = "/usr/local/cuda/bin/nvcc"


@pytest.mark.parametrize(
    ("readings", "device", "argument"),
    [
        (LINUX, "cpu", None),
        (replace(LINUX, nvcc=NVCC), "cpu", None),
        (replace(LINUX, **VULKAN_TOOLS), "cpu", None),
        (replace(LINUX, gpus=("NVIDIA",), nvcc=NVCC), "cuda", "-DGGML_CUDA=ON"),
        (replace(LINUX, gpus=("NVIDIA",), nvcc=NVCC, **VULKAN_TOOLS), "cuda", "-DGGML_CUDA=ON"),
        (replace(LINUX, gpus=("NVIDIA",), **VULKAN_TOOLS), "vulkan", "-DGGML_VULKAN=ON"),
        (replace(LINUX, gpus=("AMD",), **VULKAN_TOOLS), "vulkan", "-DGGML_VULKAN=ON"),
        (replace(LINUX, gpus=("Intel", "NVIDIA"), nvcc=NVCC), "cuda", "-DGGML_CUDA=ON"),
        (MAC, "metal", "-DGGML_METAL=ON"),
    ],
)
def test_the_fastest_usable_device_is_built_for(
    readings: Readings, device: str, argument: str | None
) -> None:
    plan = plan_build(readings)
    assert plan.device == device
    assert plan.warnings == ()
    assert argument is None or argument in plan.arguments
    assert argument is not None or plan.arguments == ()


def test_cuda_is_compiled_with_the_compiler_that_was_found() -> None:
    plan = plan_build(replace(LINUX, gpus=("NVIDIA",), nvcc="/opt/cuda 13/bin/nvcc"))
    assert "'-DCMAKE_CUDA_COMPILER=/opt/cuda 13/bin/nvcc'" in plan.cmake_args


@pytest.mark.parametrize(
    ("readings", "named", "remedy"),
    [
        (replace(LINUX, gpus=("NVIDIA",)), "nvcc", "CUDA toolkit"),
        (replace(LINUX, gpus=("AMD",)), "glslc", "libvulkan-dev"),
        (
            replace(LINUX, gpus=("Intel",), **{**VULKAN_TOOLS, "spirv_headers": False}),
            "SPIR-V",
            "spirv-headers",
        ),
        (replace(MAC, machine="x86_64"), "Intel Macs", "arm64"),
    ],
)
def test_an_unused_gpu_is_a_warning_with_the_remedy(readings: Readings, named: str, remedy: str) -> None:
    plan = plan_build(readings)
    assert plan.device == "cpu"
    (warning,) = plan.warnings
    assert named in warning.what
    assert remedy in warning.fix


def test_each_unused_gpu_is_named() -> None:
    plan = plan_build(replace(LINUX, gpus=("Intel", "NVIDIA")))
    assert [
        vendor in warning.what for vendor, warning in zip(("Intel", "NVIDIA"), plan.warnings, strict=True)
    ]


def test_a_device_chosen_by_the_user_is_left_to_the_user() -> None:
    plan = plan_build(replace(LINUX, gpus=("NVIDIA",), nvcc=NVCC, user_arguments="-DGGML_HIP=ON -DFOO=1"))
    assert plan == BuildPlan("chosen", ("-DGGML_HIP=ON", "-DFOO=1"))


def test_other_arguments_of_the_user_come_last_and_so_win() -> None:
    plan = plan_build(
        replace(LINUX, gpus=("NVIDIA",), nvcc=NVCC, user_arguments="-DCMAKE_CUDA_COMPILER=/my/nvcc")
    )
    assert plan.device == "cuda"
    assert plan.arguments[-1] == "-DCMAKE_CUDA_COMPILER=/my/nvcc"


def test_given_libraries_replace_the_build() -> None:
    plan = plan_build(replace(LINUX, gpus=("NVIDIA",), nvcc=NVCC, library_path="/opt/llama/lib"))
    assert plan == BuildPlan("library", ("-DLLAMA_BUILD=OFF",))


def test_reading_this_machine_takes_the_environment_into_account() -> None:
    readings = read_machine({"CMAKE_ARGS": "-DGGML_NATIVE=OFF", "LLAMA_CPP_LIB_PATH": "/opt/llama"})
    assert (readings.user_arguments, readings.library_path) == ("-DGGML_NATIVE=OFF", "/opt/llama")
    assert readings.system in ("Linux", "Darwin")


def test_nvcc_is_found_beside_cuda_home(tmp_path) -> None:
    compiler = tmp_path / "bin" / "nvcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    assert read_machine({"CUDA_HOME": str(tmp_path)}).nvcc == str(compiler)
