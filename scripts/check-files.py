#!/usr/bin/env python3
"""Opens the files that mistilt wrote with the programs they are meant for; run by scripts/check-files.sh."""

import json
import pathlib
import sys
import warnings

import h5py
import hyperspy.api as hs
import numpy as np
import rsciio.digitalmicrograph
import tifffile

folder = pathlib.Path(sys.argv[1])
y, x = np.mgrid[0:4, 0:5]
image = (10 * y + x).astype("f4")
image[0, 0] = np.nan
PM = 15.1


def same(a, b=image):
    a = np.asarray(a)
    assert a.dtype == np.float32 and a.shape == b.shape, (a.dtype, a.shape)
    np.testing.assert_array_equal(a, b)


same(np.load(folder / "image.npy"))
sidecar = json.loads((folder / "image.npy.json").read_text())
assert sidecar["pixel_size_pm"] == PM and sidecar["metadata"]["beam_energy_kev"] == 200.0, sidecar

with tifffile.TiffFile(folder / "image.tif") as tif:
    same(tif.asarray())
    assert tif.is_imagej and tif.imagej_metadata["unit"] == "nm", tif.imagej_metadata
    n, d = tif.pages[0].tags["XResolution"].value
    assert abs(d / n * 1e3 / PM - 1) < 1e-9, (n, d)

with h5py.File(folder / "image.hspy") as f:
    assert f.attrs["file_format"] == "HyperSpy" and "package" not in f.attrs
    same(f["Experiments/film/data"][()])

for name in ["image.tif", "image.hspy"]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        signal = hs.load(folder / name)
    same(signal.data)
    for axis in signal.axes_manager.signal_axes:
        assert axis.units == "nm" and abs(axis.scale * 1e3 / PM - 1) < 1e-9, (name, axis)
assert signal.__class__.__name__ == "Signal2D" and [a.name for a in signal.axes_manager.signal_axes] == ["x", "y"], signal
assert signal.axes_manager.signal_shape == (5, 4) and signal.axes_manager.navigation_dimension == 0
tem = signal.metadata.Acquisition_instrument.TEM
assert (tem.beam_energy, tem.convergence_angle, tem.Detector.ADF.inner_angle, tem.Detector.ADF.outer_angle) == (200.0, 30.0, 70.0, 200.0)
assert signal.metadata.General.title == "film"

count = 0
for path in sorted(folder.glob("*.dm[34]")):
    if path.stem.split("-")[0] in ("type39", "type40"):
        continue  # 64-bit integers, which RosettaSciIO 0.15 does not know
    want = json.loads(path.with_suffix(path.suffix + ".expect").read_text())
    (found,) = rsciio.digitalmicrograph.file_reader(path)
    data = np.asarray(found["data"])
    if path.stem.endswith("-big"):
        # RosettaSciIO 0.15 reads the tags of a big-endian file in that order, but its pixels in the machine's own.
        data = data.byteswap()
    np.testing.assert_array_equal(data.astype("f8"), np.array(want["data"]).reshape(want["height"], want["width"]), str(path))
    assert abs(found["axes"][-1]["scale"] * 1e3 / want["pixel_size_pm"] - 1) < 1e-6 and found["axes"][-1]["units"] == "nm", path
    (entry,) = found["original_metadata"]["ImageList"].values()
    assert entry["ImageTags"]["Microscope Info"]["Voltage"] == want["beam_energy_kev"] * 1e3, path
    count += 1
assert count == 36, count
print(f"numpy, tifffile, h5py and HyperSpy open what mistilt writes; RosettaSciIO reads the same from {count} DM files")
