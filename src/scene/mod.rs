//! Scenes: fields of polarization, composition, mis-tilt and thickness over a grid of cells, and their images at two fidelities.
