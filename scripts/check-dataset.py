"""Opens a dataset of `mistilt dataset` with h5py, as docs/datasets.md shows, and checks it against its manifest.

Usage: check-dataset.py FOLDER [--torch]   (needs numpy and h5py; with --torch also torch, to read it through a DataLoader)
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))


def windows_dataset():
    """The class of docs/datasets.md, as it stands there."""
    text = (Path(__file__).parent.parent / "docs" / "datasets.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    if "--torch" not in sys.argv:
        code = code.replace("import torch\n", "").replace("torch.utils.data.Dataset", "object").replace("torch.from_numpy", "")
    names = {}
    exec(compile(code, "docs/datasets.md", "exec"), names)  # our own documentation
    return names["Windows"]


folder = Path(sys.argv[1])
manifest = json.loads((folder / "manifest.json").read_text())
assert manifest["format"] == "mistilt dataset 1", manifest["format"]
total = 0
for entry in manifest["shards"]:
    with h5py.File(folder / entry["file"]) as shard:
        windows, labels = shard["windows"], shard["labels_pm"]
        n, side, _ = windows.shape
        assert n == entry["items"] and side == manifest["window_px"], (n, side)
        assert labels.shape == (n, 2) and np.isfinite(labels[:]).all()
        assert windows.dtype == np.float32 and windows.attrs["about"] == "values; rows from the top"
        values = windows[:]
        assert np.isfinite(values).all()
        if shard.attrs["normalisation"] == "window":
            flat = values.reshape(n, -1)
            assert abs(flat.mean(axis=1)).max() < 1e-3 and abs(flat.std(axis=1) - 1).max() < 1e-3
        names = [name for name in shard.attrs["parameter_names"].split("\n") if name]
        assert names == list(manifest["vary"]), names
        if names:
            assert shard["parameters"].shape == (entry["samples"], len(names))
        total += n
assert total == manifest["items"]
dataset = windows_dataset()(folder)
assert len(dataset) == total
window, label = dataset[total // 2]
assert tuple(window.shape) == (1, manifest["window_px"], manifest["window_px"]) and tuple(label.shape) == (2,)
if "--torch" in sys.argv:
    import torch

    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True, num_workers=2)))
    assert batch[0].shape[0] == min(16, total) and batch[0].dtype == torch.float32
print(f"{len(manifest['shards'])} files, {total} windows of {manifest['window_px']} px: as the manifest says")
