//! Chemical elements by atomic number, 1 (H) to 103 (Lr): the range of the scattering-factor tables.

use std::fmt;

const SYMBOLS: [&str; 103] = [
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr",
    "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd",
    "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er",
    "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th",
    "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr",
];

/// A chemical element the scattering-factor tables know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Element(u8);

impl Element {
    /// The element of atomic number `z`, if 1 ≤ z ≤ 103.
    #[must_use]
    pub fn from_atomic_number(z: u8) -> Option<Self> {
        (1..=103).contains(&z).then_some(Self(z))
    }

    /// The element written `symbol` ("Bi"), exact case.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        SYMBOLS.iter().position(|&s| s == symbol).map(|i| Self(i as u8 + 1))
    }

    /// Atomic number Z.
    #[must_use]
    pub fn atomic_number(self) -> u8 {
        self.0
    }

    /// Chemical symbol.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        SYMBOLS[usize::from(self.0) - 1]
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_numbers_agree_where_one_can_check_by_heart() {
        for (z, symbol) in [(1, "H"), (8, "O"), (26, "Fe"), (62, "Sm"), (83, "Bi"), (92, "U"), (103, "Lr")] {
            let element = Element::from_symbol(symbol).unwrap();
            assert_eq!((element.atomic_number(), element.symbol()), (z, symbol));
            assert_eq!(Element::from_atomic_number(z), Some(element));
        }
        assert_eq!(Element::from_atomic_number(0), None);
        assert_eq!(Element::from_atomic_number(104), None);
        assert_eq!(Element::from_symbol("bi"), None);
    }
}
