//! What the microscope adds to a clean image: drift, scan jitter, dose, detector noise, background; each seeded, each with its own truth.
