"""The same image and bundle give the same result, to the last bit, on the same runtime."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from inference_service.bundles import Bundle, load_bundle
from inference_service.engine.choice import choose_runtime
from inference_service.engine.network import load_network
from inference_service.engine.openvino_runtime import computes_in_bfloat16
from inference_service.engine.runtime import RuntimeName
from support.untrained import write_untrained

SIZE_PX = 128
RUNTIMES: list[RuntimeName] = ["torch-float32", "openvino-float32", "openvino-bfloat16"]


@pytest.fixture(scope="module")
def b4(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An EfficientNet-B4: in smaller networks PyTorch's bits do not depend on the batch anyhow."""
    return write_untrained(tmp_path_factory.mktemp("bundles") / "b4", size_px=SIZE_PX)


def patterns(count: int, size_px: int) -> npt.NDArray[np.uint8]:
    cells = np.random.default_rng(5).integers(0, 256, (count, 3, 8, 8), np.uint8)
    return cells.repeat(size_px // 8, axis=2).repeat(size_px // 8, axis=3)


def skip_without_bfloat16(name: RuntimeName) -> None:
    if name == "openvino-bfloat16" and not computes_in_bfloat16():
        pytest.skip("the processor does not compute in bfloat16")


@pytest.mark.parametrize("name", RUNTIMES)
def test_an_image_scores_the_same_alone_and_at_every_place_of_a_batch(b4: Bundle, name: RuntimeName) -> None:
    skip_without_bfloat16(name)
    runtime = choose_runtime(load_network(b4), b4.manifest, device="cpu", runtime=name)
    images = patterns(8, SIZE_PX)
    alone = [runtime.infer(image[np.newaxis]) for image in images]
    assert len({float(each.logits_n[0]) for each in alone}) == 8, "images that score alike prove nothing"
    for count in range(1, 9):
        members = (np.arange(count) + 3 * count) % 8
        together = runtime.infer(images[members])
        for place, member in enumerate(members):
            assert together.logits_n[place] == alone[member].logits_n[0], (count, place)
            assert np.array_equal(together.cams_nyx[place], alone[member].cams_nyx[0]), (count, place)


_SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1].split(":")
from test_repeatability import print_digests
print_digests(Path(sys.argv[2]), sys.argv[3:])
"""


def print_digests(directory: Path, names: list[RuntimeName]) -> None:
    """What a process of its own does in the test below."""
    bundle = load_bundle(directory)
    for name in names:
        runtime = choose_runtime(load_network(bundle), bundle.manifest, device="cpu", runtime=name)
        output = runtime.infer(patterns(3, bundle.manifest.image.size_px))
        sys.stdout.write(f"{name} {sha256(output.logits_n.tobytes() + output.cams_nyx.tobytes()).hexdigest()}\n")


def test_a_fresh_process_gives_the_same_bits(small_bundle: Bundle) -> None:
    names = [name for name in RUNTIMES if name != "openvino-bfloat16" or computes_in_bfloat16()]
    places = f"{Path(__file__).parent}:{Path(__file__).parents[2]}"
    command = [sys.executable, "-c", _SCRIPT, places, str(small_bundle.directory), *names]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=150).stdout for _ in range(2)
    )
    assert first == second
    assert [line.split()[0] for line in first.splitlines()] == names
    assert len(set(first.split())) == 2 * len(names), "runtimes that give the same bits are one runtime"
