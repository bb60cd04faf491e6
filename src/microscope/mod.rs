//! microscope
