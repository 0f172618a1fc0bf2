"""Write phantoms as DICOM: `python -m radrelay_phantoms OUT_DIR --count N --seed S --prevalence P`."""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from radrelay_phantoms import DEFAULT_DIFFICULTY, InvalidRequest, sample
from radrelay_phantoms.dicom import write_dicom

TRUTH_COLUMNS = ("file", "sop_instance_uid", "seed", "haemorrhage", "lesion_area_mm2", "level_mm", "difficulty")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files and `truth.csv`, which says what each shows; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m radrelay_phantoms", description="Write synthetic head-CT phantoms."
    )
    parser.add_argument("out_dir", type=Path, help="folder for the DICOM files and truth.csv")
    parser.add_argument("--count", type=int, default=16, help="how many slices (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="first seed; slice k has seed + k (default: %(default)s)")
    parser.add_argument("--prevalence", type=float, default=0.5, help="share with a haemorrhage (default: %(default)s)")
    parser.add_argument("--difficulty", type=float, default=DEFAULT_DIFFICULTY, help="0 to 1 (default: %(default)s)")
    parser.add_argument("--size", type=int, default=512, help="pixels along each side (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        _write(options)
    except InvalidRequest as error:
        parser.error(str(error))
    sys.stdout.write(f"{options.count} phantoms in {options.out_dir}\n")
    return 0


def _write(options: argparse.Namespace) -> None:
    options.out_dir.mkdir(parents=True, exist_ok=True)
    with (options.out_dir / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        truth = csv.writer(file)
        truth.writerow(TRUTH_COLUMNS)
        for seed in range(options.seed, options.seed + options.count):
            phantom = sample(seed, prevalence=options.prevalence, difficulty=options.difficulty, size=options.size)
            name = f"phantom-{seed:06d}.dcm"
            uid = write_dicom(phantom, options.out_dir / name)
            area_mm2 = phantom.lesion_mask_yx.sum() * phantom.spacing_mm**2
            label = phantom.kind or "none"
            truth.writerow((name, uid, seed, label, f"{area_mm2:.1f}", f"{phantom.level_mm:.1f}", phantom.difficulty))


if __name__ == "__main__":
    raise SystemExit(main())
