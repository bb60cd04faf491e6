//! What can be wrong with a crystal or the file it is read from, each as a sentence one can act on.

/// Errors of the room `crystal`.
#[derive(Debug, thiserror::Error)]
pub enum CrystalError {
    /// The file cannot be opened or read.
    #[error("cannot read the structure file {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is larger than any structure this program can use.
    #[error("{file} is larger than {limit_mib} MiB, the most a structure file may hold; cut it down to one repeat cell")]
    TooLarge {
        /// The file.
        file: String,
        /// The limit, MiB.
        limit_mib: u64,
    },
    /// Neither the extension nor the name tells the format.
    #[error(
        "cannot tell the format of {file} from its name: use .cif, .xyz, .extxyz, .vasp or .poscar, or a name that begins with POSCAR or CONTCAR"
    )]
    UnknownFormat {
        /// The file.
        file: String,
    },
    /// A line cannot be understood.
    #[error("{file}, line {line}: {what}")]
    Malformed {
        /// The file.
        file: String,
        /// Line number, from 1.
        line: usize,
        /// What is wrong and what is expected there.
        what: String,
    },
    /// The file as a whole cannot be used.
    #[error("{file}: {what}")]
    Unusable {
        /// The file.
        file: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// No unit cell is given.
    #[error("{file} gives no unit cell: {missing}")]
    NoCell {
        /// The file.
        file: String,
        /// What is missing, and what to add.
        missing: String,
    },
    /// A space group is named without its operations.
    #[error(
        "{file} names the space group {group} but lists no symmetry operations: add the _space_group_symop_operation_xyz loop, \
         or write all atoms of the cell and name the group P 1"
    )]
    NoOperations {
        /// The file.
        file: String,
        /// The group, as the file names it.
        group: String,
    },
    /// No element has this name.
    #[error("{label:?} in {file} names no chemical element from H to Lr: write the element's symbol, such as Bi or Fe")]
    UnknownElement {
        /// The file or structure.
        file: String,
        /// The label as written.
        label: String,
    },
    /// An occupancy is no probability.
    #[error("atom {atom} of {crystal} has the occupancy {value}: it must be above 0 and at most 1")]
    Occupancy {
        /// The crystal.
        crystal: String,
        /// Atom number, from 1, and element.
        atom: String,
        /// The value.
        value: f64,
    },
    /// A displacement parameter cannot be a mean square.
    #[error(
        "atom {atom} of {crystal} has the mean-square displacement {value} Å² along some direction: it must lie between 0 and {limit} Å² \
         (if the file gives B = 8π²U, say so by its _B_ items)"
    )]
    Displacement {
        /// The crystal.
        crystal: String,
        /// Atom number, from 1, and element.
        atom: String,
        /// The value, Å².
        value: f64,
        /// The largest value taken, Å².
        limit: f64,
    },
    /// A coordinate is not a number, or is absurdly large.
    #[error("atom {atom} of {crystal} has the fractional coordinates {value:?}: they must be numbers below a million")]
    Coordinate {
        /// The crystal.
        crystal: String,
        /// Atom number, from 1, and element.
        atom: String,
        /// The fractional coordinates.
        value: [f64; 3],
    },
    /// There is nothing in the cell.
    #[error("{crystal} holds no atoms")]
    NoAtoms {
        /// The crystal.
        crystal: String,
    },
    /// More atoms than this program handles.
    #[error("{crystal} holds more than {limit} atoms; cut it down to one repeat cell")]
    TooManyAtoms {
        /// The crystal.
        crystal: String,
        /// The limit.
        limit: usize,
    },
    /// The lattice vectors span no usable volume.
    #[error(
        "the lattice vectors of {crystal} span no usable cell: the lattice planes must be 1 to 10000 Å apart along each vector, \
         and the smallest distance is {distance:.3} Å"
    )]
    SingularLattice {
        /// The crystal.
        crystal: String,
        /// Smallest distance of lattice planes, Å (or NaN).
        distance: f64,
    },
    /// Two atoms stand on one another without sharing the site.
    #[error(
        "atoms {first} and {second} of {crystal} are only {distance:.2} Å apart and their occupancies add up to more than 1: \
         remove the duplicate, or give both the occupancies with which they share the site"
    )]
    TooClose {
        /// The crystal.
        crystal: String,
        /// Atom number, from 1, and element.
        first: String,
        /// Atom number, from 1, and element.
        second: String,
        /// Distance, Å.
        distance: f64,
    },
    /// No cation sits in an octahedron of anions.
    #[error(
        "{crystal} has no B site: no cation has six O, F or N neighbours within {reach} Å on average. \
         Polarization is measured between the A and B sites of a perovskite; check the structure, and that its anions are listed"
    )]
    NoBSite {
        /// The crystal.
        crystal: String,
        /// Largest mean distance of the six nearest anions, Å.
        reach: f64,
    },
    /// The A sites do not form a nearly cubic lattice.
    #[error(
        "{crystal} has no pseudocubic basis: {why}. Its A sites must form a nearly cubic lattice with 3.5 to 4.5 Å edges; \
         give the zone axis in the basis of the crystal's own lattice instead"
    )]
    NoPseudocubic {
        /// The crystal.
        crystal: String,
        /// What fails.
        why: String,
    },
}

/// The result of this room's functions.
pub type Result<T> = std::result::Result<T, CrystalError>;
