#!/usr/bin/env python3
"""Makes the image fixtures of tests/data/image with numpy, tifffile, h5py and HyperSpy.

All fixtures hold the same 5 x 4 image (4 rows of 5 pixels), pixel (x, y) = 10 y + x, pixel size 15.1 pm, so that a test can tell
every mistake of order, type and unit. Run: python3 scripts/make-image-fixtures.py [FOLDER]   (needs: numpy tifffile h5py; hyperspy
for the genuine .hspy, which is left as it is where HyperSpy is missing).
"""

import json
import pathlib
import sys
import zipfile

import h5py
import numpy as np
import tifffile

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "tests/data/image")
folder.mkdir(parents=True, exist_ok=True)
y, x = np.mgrid[0:4, 0:5]
image = (10 * y + x).astype(np.float64)
stack = np.stack([image, image + 100])
PM = 15.1

# NumPy: types, memory orders, archives.
for name, dtype in [("f2", "<f2"), ("f8_big", ">f8"), ("u2", "<u2"), ("bool", "|b1")]:
    np.save(folder / f"{name}.npy", image.astype(dtype))
np.save(folder / "fortran.npy", np.asfortranarray(image.astype("<i4")))
np.save(folder / "stack.npy", stack.astype("<f4"))
np.savez(folder / "stored.npz", image=image.astype("f4"), scale=np.array(PM))
np.savez_compressed(folder / "deflated.npz", first=image.astype("u1"), second=stack[1].astype("f2"))

# TIFF: ImageJ, standard resolution, Gatan tags, pages, colour, compression.
per_nm = 1e3 / PM
tifffile.imwrite(folder / "imagej.tif", image.astype("f4"), imagej=True, resolution=(per_nm, per_nm), metadata={"unit": "nm"})
tifffile.imwrite(folder / "imagej_micron.tif", image.astype("u2"), imagej=True, resolution=(per_nm * 1e3, per_nm * 1e3), metadata={"unit": "\\u00B5m"})
tifffile.imwrite(folder / "imagej_stack.tif", stack.astype("u2"), imagej=True, resolution=(per_nm, per_nm), metadata={"unit": "nm"})
tifffile.imwrite(folder / "pages.tif", stack.astype("i4"), metadata=None)
# 1 / 15.1 pm is 6.6e8 a centimetre: fits the 32 bits of a rational.
tifffile.imwrite(folder / "centimetre.tif", image.astype("u1"), resolution=(1e10 / PM, 1e10 / PM), resolutionunit=3, metadata=None)
tifffile.imwrite(folder / "dots_per_inch.tif", image.astype("f8"), resolution=(72, 72), resolutionunit=2, metadata=None, byteorder=">")
gatan = [(65003, "s", 0, "nm", True), (65004, "s", 0, "nm", True), (65009, "d", 1, PM / 1e3, True), (65010, "d", 1, PM / 1e3, True)]
tifffile.imwrite(folder / "gatan.tif", image.astype("i2"), extratags=gatan, metadata=None)
tifffile.imwrite(folder / "deflate.tif", image.astype("u2"), compression="zlib", predictor=True, metadata=None)
tifffile.imwrite(folder / "ome.ome.tif", image.astype("u2"), metadata={"axes": "YX", "PhysicalSizeX": PM / 1e3, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": PM / 1e3, "PhysicalSizeYUnit": "nm"})
tifffile.imwrite(folder / "rgb.tif", np.repeat(image.astype("u1")[:, :, None], 3, axis=2), photometric="rgb", metadata=None)
tifffile.imwrite(folder / "half.tif", image.astype("f2"), metadata=None)

# Velox: frames along the last axis, numbers as text, metadata as a column of bytes for each frame.
with h5py.File(folder / "velox.emd", "w") as f:
    f["Version"] = ['{"format": "Velox", "version": "1.11"}']
    group = f.create_group("Data/Image/0123456789abcdef0123456789abcdef")
    group["Data"] = np.moveaxis(stack, 0, -1).astype("u2")
    meta = {
        "BinaryResult": {"Detector": "HAADF", "PixelSize": {"width": "1.51E-11", "height": "1.51E-11"}, "PixelUnitX": "m", "PixelUnitY": "m"},
        "Optics": {"AccelerationVoltage": "300000", "BeamConvergence": "0.0214"},
        "Detectors": {
            "Detector-0": {"DetectorName": "BF", "CollectionAngleRange": {"begin": "0", "end": "0.01"}},
            "Detector-1": {"DetectorName": "HAADF", "CollectionAngleRange": {"begin": "0.07", "end": "0.2"}},
        },
    }
    raw = np.frombuffer(json.dumps(meta).encode().ljust(2048, b"\0"), dtype="u1")
    group["Metadata"] = np.stack([raw, raw], axis=1)

# Berkeley: axes as datasets, units in brackets.
with h5py.File(folder / "berkeley.emd", "w") as f:
    f.attrs["version_major"], f.attrs["version_minor"] = 0, 2
    f.create_group("microscope").attrs["accelerating voltage [kV]"] = 200.0
    group = f.create_group("signals/film")
    group.attrs["emd_group_type"] = 1
    group["data"] = image.astype("f4")
    for i, n in [(1, 4), (2, 5)]:
        dim = group.create_dataset(f"dim{i}", data=np.arange(n) * PM / 1e3)
        dim.attrs["name"], dim.attrs["units"] = "yx"[i - 1], "[n_m]"

# The Sm-BFO data set: MATLAB's axis order, no data at the border, two spellings of the sample's name.
with h5py.File(folder / "SM_10_0_HAADF.h5", "w") as f:
    border = image.copy()
    border[0, 0], border[3, 4] = np.nan, np.inf
    f["MainImage"] = border.T
    f["Scale"] = np.array([[PM * 1e-12]])
    f["Units(m)"] = np.array([[1.0]])
with h5py.File(folder / "Sm_10_0_UCParameterization.h5", "w") as f:
    f["ab"] = np.array([[0, 1, 0], [0, 0, 1]], dtype="f8")
    f["xy_COM"] = np.array([[2.0, 3.0, 2.0], [2.0, 2.0, 3.0]])
    f["xy_atms"] = np.arange(30, dtype="f8").reshape(5, 2, 3)
    f["Pxy"] = np.array([[0.1, 0.2, np.nan], [0.3, 0.4, 0.5]])
    for name in ["a", "b", "alpha", "Vol", "I1", "I2", "I3", "I4", "I5"]:
        f[name] = np.array([[1.0, 2.0, np.inf]])

# A layout nobody knows, chunked and deflated, in half floats.
with h5py.File(folder / "plain.h5", "w") as f:
    f.create_dataset("scan/adf", data=image.astype("f2"), chunks=(2, 5), compression="gzip", shuffle=True)

try:
    import hyperspy.api as hs
except ImportError:
    print("HyperSpy is not installed: hyperspy.hspy is left as it is")
else:
    hs.set_log_level("ERROR")
    signal = hs.signals.Signal2D(image.astype("f2"))
    signal.metadata.General.title = "film"
    signal.metadata.add_dictionary({"Acquisition_instrument": {"TEM": {"beam_energy": 200.0, "convergence_angle": 30.0}}})
    for axis, name in zip(signal.axes_manager.signal_axes, "xy"):
        axis.name, axis.units, axis.scale = name, "nm", PM / 1e3
    signal.save(folder / "hyperspy.hspy", overwrite=True)

# Deterministic archives: the fixtures are committed, so a rerun should change nothing but HDF5's own time stamps.
for path in folder.glob("*.npz"):
    with zipfile.ZipFile(path) as archive:
        entries = [(i.filename, i.compress_type, archive.read(i)) for i in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, kind, content in entries:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            archive.writestr(info, content, compress_type=kind)
