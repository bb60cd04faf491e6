//! Which cards a machine has, which of them a run takes, and why not where there is none.

use super::card::{has_nvrtc, machine, open};
use super::{DeviceError, Driver};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Cards by number: a set of 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cards(u32);

impl Cards {
    /// The numbers, ascending.
    pub fn ordinals(self) -> impl Iterator<Item = usize> {
        (0..32).filter(move |i| self.0 >> i & 1 == 1)
    }
}

impl FromStr for Cards {
    type Err = String;

    /// "cuda:0" or "cuda:0,1".
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no device; write auto, cpu, cuda:0, or cuda:0,1 for several cards of one model");
        let list = text.strip_prefix("cuda:").ok_or_else(wrong)?;
        let mut set = 0_u32;
        for number in list.split(',') {
            let number: u32 = number.parse().map_err(|_| wrong())?;
            set |= 1_u32.checked_shl(number).ok_or_else(wrong)?;
        }
        Ok(Self(set))
    }
}

impl fmt::Display for Cards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.ordinals().map(|n| n.to_string()).collect();
        write!(f, "cuda:{}", numbers.join(","))
    }
}

/// What a machine has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// CUDA version of the driver, "12.4".
    pub driver: String,
    /// Whether NVRTC is there: kernels are then compiled for the card at hand where that pays.
    pub nvrtc: bool,
    /// Whether cuFFT is there, which grids need whose sides are no products of 2, 3 and 5.
    pub cufft: bool,
    /// The cards, each with its facts or the reason why it cannot be used.
    pub cards: Vec<Result<CardInfo, String>>,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CardInfo {
    /// "cuda:0".
    pub device: String,
    /// Model.
    pub model: String,
    /// Compute capability, "9.0".
    pub capability: String,
    /// Memory, bytes.
    pub memory_bytes: usize,
    /// Free memory, bytes.
    pub free_bytes: usize,
}

/// Looks at every card: opens it, loads the kernels, asks for its memory.
pub fn devices() -> Result<Found, DeviceError> {
    let machine = machine()?;
    let info = |n: usize| -> Result<CardInfo, DeviceError> {
        let card = open(n)?;
        let ((major, minor), free_bytes, memory_bytes) = card.facts()?;
        Ok(CardInfo { device: format!("cuda:{n}"), model: card.model(), capability: format!("{major}.{minor}"), memory_bytes, free_bytes })
    };
    let cards: Vec<Result<CardInfo, String>> = (0..machine.cards).map(|n| info(n).map_err(|error| error.to_string())).collect();
    let cufft = (0..machine.cards).find_map(|n| open(n).ok()).is_some_and(|card| card.has_fft());
    let driver = format!("{}.{}", machine.version / 1000, machine.version % 1000 / 10);
    Ok(Found { driver, nvrtc: has_nvrtc(), cufft, cards })
}

/// The drivers of these cards.
pub fn drivers(cards: Cards) -> Result<Vec<Arc<dyn Driver>>, DeviceError> {
    cards.ordinals().map(|n| Ok(Arc::new(open(n)?) as Arc<dyn Driver>)).collect()
}

/// What `auto` takes: the first card that works, with all others of its model; `None` where there is none.
#[must_use]
pub fn automatic() -> Option<Cards> {
    let found = devices().ok()?;
    let model = found.cards.iter().find_map(|c| c.as_ref().ok()).map(|c| c.model.clone())?;
    let same = |(n, c): (usize, &Result<CardInfo, String>)| c.as_ref().is_ok_and(|c| c.model == model).then_some(n).filter(|n| *n < 32);
    Some(Cards(found.cards.iter().enumerate().filter_map(same).fold(0, |set, n| set | 1 << n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_named_and_named_back() {
        let cards: Cards = "cuda:3,0".parse().unwrap();
        assert_eq!((cards.to_string(), cards.ordinals().collect::<Vec<_>>()), ("cuda:0,3".to_owned(), vec![0, 3]));
        for wrong in ["cuda", "cuda:", "cuda:x", "gpu:0", "cuda:0,", "cuda:32", "cuda:-1"] {
            assert!(wrong.parse::<Cards>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_machine_without_a_driver_gets_a_sentence_and_one_with_cards_their_names() {
        match devices() {
            Err(error) => assert!(error.to_string().contains("--device cpu"), "{error}"),
            Ok(found) => assert!(found.cards.iter().flatten().all(|c| !c.model.is_empty())),
        }
    }
}
