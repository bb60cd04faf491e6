//! What `columns` and `polarization` share: which image, and what the user knows of it.

use super::failure::Failure;
use crate::columns::{BrightSite, Estimator, FindOptions, Zone};
use crate::image::{Image, Page, ReadOptions};
use crate::polarization::MapOptions;
use std::path::PathBuf;
use std::str::FromStr;

/// An image of a perovskite and how to look at it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Open {
    /// Image file; FILE:NAME chooses one of several images in it
    #[arg(value_name = "IMAGE")]
    pub(super) image: PathBuf,
    /// Pixel size, pm. Default: what the file says
    #[arg(long, value_name = "PM")]
    pub(super) pixel_size_pm: Option<f64>,
    /// Side of the pseudocubic cell, pm (396 for BiFeO3): calibrates an image without a pixel size. Default: none
    #[arg(long, value_name = "PM")]
    pub(super) lattice_pm: Option<f64>,
    /// Frame of a stack, counted from 0, or "sum". Default: the file holds one image
    #[arg(long, value_name = "N", value_parser = Page::from_str)]
    pub(super) page: Option<Page>,
    /// Zone axis in pseudocubic directions, 100 or 110. Default: 100
    #[arg(long, value_name = "ZONE", default_value = "100", hide_default_value = true, value_parser = Zone::from_str)]
    pub(super) zone: Zone,
    /// Which sublattice is the brighter, A or B. Default: A
    #[arg(long, value_name = "SITE", default_value = "A", hide_default_value = true, value_parser = BrightSite::from_str)]
    pub(super) bright_site: BrightSite,
    /// cell-fit (one B and its A columns together), gaussian, round-gaussian, centre-of-mass or maximum. Default: cell-fit
    #[arg(long, value_name = "NAME", default_value = "cell-fit", hide_default_value = true, value_parser = estimator)]
    pub(super) estimator: Estimator,
    /// Radius of the window around a column, px. Default: 0.35 of the pseudocubic cell
    #[arg(long, value_name = "PX")]
    pub(super) window_px: Option<f64>,
}

fn estimator(name: &str) -> Result<Estimator, String> {
    let known = serde_json::from_value(serde_json::Value::String(name.to_owned()));
    known.map_err(|_| "choose cell-fit, gaussian, round-gaussian, centre-of-mass or maximum".to_owned())
}

impl Open {
    /// Reads the image.
    pub(super) fn read(&self) -> Result<Image, Failure> {
        let page = self.page.unwrap_or_default();
        let options = ReadOptions { pixel_size_pm: self.pixel_size_pm, key: None, page };
        Image::read(&self.image, &options).map_err(|e| Failure::BadInput(e.to_string()))
    }

    /// How to find and measure.
    pub(super) fn options(&self) -> Result<MapOptions, Failure> {
        if let Some(px) = self.window_px.filter(|px| !(px.is_finite() && *px > 0.0)) {
            return Err(Failure::BadInput(format!("a window of {px} px is none: give a radius greater than 0, about a third of the cell")));
        }
        let find = FindOptions { zone: self.zone, bright_site: self.bright_site, lattice_a_px: None };
        Ok(MapOptions {
            find,
            estimator: self.estimator,
            window_radius_px: self.window_px,
            empirical_covariance: true,
            lattice_pm: self.lattice_pm,
        })
    }
}
