//! Sub-images: centred on columns or on a grid, normalised, labelled, and split in space for training and prediction.
