//! How much of the polarization in an ADF-STEM image is the crystal, and how much is mis-tilt, noise and analysis?
//!
//! Rooms, from the top floor down (imports only go down): [`cli`] > [`study`] > [`report`] > [`artifact`] > [`dcnn`] > [`dataset`] >
//! [`windows`] > [`polarization`] > [`columns`] > [`scene`] > [`detection`] > [`multislice`] > [`specimen`] > [`potential`] >
//! [`microscope`] > [`image`] > [`crystal`] > [`numerics`].
//!
//! Internal units: lengths in ångströms, angles at every interface in milliradians, polarization displacements in picometres,
//! energies in kiloelectronvolts, scattering vectors k = 1/d in 1/Å. Image axes: x right, y down, z along the beam.

pub mod artifact;
pub mod cli;
pub mod columns;
pub mod crystal;
pub mod dataset;
pub mod dcnn;
pub mod detection;
pub mod image;
pub mod microscope;
pub mod multislice;
pub mod numerics;
pub mod polarization;
pub mod potential;
pub mod report;
pub mod scene;
pub mod specimen;
pub mod study;
pub mod windows;
