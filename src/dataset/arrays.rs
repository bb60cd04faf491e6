//! Named arrays in an HDF5 file, hashed: written whole, read back with every size checked and the hash compared.

use super::DatasetError;
use hdf5_pure::{AttrValue, File, FileBuilder};
use std::borrow::Cow;

/// Numbers of one of the types a shard holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data<'a> {
    F32(Cow<'a, [f32]>),
    F64(Cow<'a, [f64]>),
    I32(Cow<'a, [i32]>),
    U32(Cow<'a, [u32]>),
    U64(Cow<'a, [u64]>),
    U8(Cow<'a, [u8]>),
}

impl Data<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::U64(v) => v.len(),
            Self::U8(v) => v.len(),
        }
    }

    /// Type name and bytes, little-endian, into the hash; in blocks, so that no second copy of the array is made.
    fn hash(&self, hasher: &mut blake3::Hasher) {
        fn blocks<T: Copy, const N: usize>(hasher: &mut blake3::Hasher, name: &str, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
            hasher.update(name.as_bytes());
            let mut buffer = Vec::with_capacity(N * 8192);
            for block in values.chunks(8192) {
                buffer.clear();
                for &v in block {
                    buffer.extend_from_slice(&bytes(v));
                }
                hasher.update(&buffer);
            }
        }
        match self {
            Self::F32(v) => blocks(hasher, "f32", v, f32::to_le_bytes),
            Self::F64(v) => blocks(hasher, "f64", v, f64::to_le_bytes),
            Self::I32(v) => blocks(hasher, "i32", v, i32::to_le_bytes),
            Self::U32(v) => blocks(hasher, "u32", v, u32::to_le_bytes),
            Self::U64(v) => blocks(hasher, "u64", v, u64::to_le_bytes),
            Self::U8(v) => blocks(hasher, "u8", v, |b| [b]),
        }
    }
}

/// An array with its name, its shape and what it means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) shape: Vec<usize>,
    pub(super) about: Cow<'a, str>,
    pub(super) data: Data<'a>,
}

impl<'a> Array<'a> {
    pub(super) fn new(name: impl Into<Cow<'a, str>>, shape: &[usize], about: impl Into<Cow<'a, str>>, data: Data<'a>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), data.len(), "the shape holds the data");
        Self { name: name.into(), shape: shape.to_vec(), about: about.into(), data }
    }
}

/// blake3 of all arrays: names, shapes, types and numbers.
pub(super) fn digest(arrays: &[Array<'_>]) -> String {
    let mut hasher = blake3::Hasher::new();
    for array in arrays {
        hasher.update(array.name.as_bytes());
        for &n in &array.shape {
            hasher.update(&(n as u64).to_le_bytes());
        }
        array.data.hash(&mut hasher);
    }
    hasher.finalize().to_hex().to_string()
}

/// The bytes of a file that holds the arrays, each with its meaning as the attribute `about`, and `attributes` at the root.
pub(super) fn write(arrays: &[Array<'_>], attributes: &[(&str, AttrValue)]) -> Result<Vec<u8>, DatasetError> {
    let mut file = FileBuilder::new();
    for (name, value) in attributes {
        file.set_attr(name, value.clone());
    }
    for array in arrays {
        let shape: Vec<u64> = array.shape.iter().map(|&n| n as u64).collect();
        let dataset = file.create_dataset(&array.name);
        match &array.data {
            Data::F32(v) => dataset.with_f32_data(v),
            Data::F64(v) => dataset.with_f64_data(v),
            Data::I32(v) => dataset.with_i32_data(v),
            Data::U32(v) => dataset.with_u32_data(v),
            Data::U64(v) => dataset.with_u64_data(v),
            Data::U8(v) => dataset.with_u8_data(v),
        }
        .with_shape(&shape)
        .set_attr("about", AttrValue::VarLenString(array.about.clone().into_owned()));
    }
    file.finish().map_err(|e| DatasetError::Write(e.to_string()))
}

/// An open file.
pub(super) struct Reader {
    file: File,
    bytes: u64,
}

impl Reader {
    pub(super) fn open(content: Vec<u8>) -> Result<Self, DatasetError> {
        let bytes = content.len() as u64;
        Ok(Self { file: File::from_bytes(content).map_err(broken)?, bytes })
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.file.root().attrs().ok()?.remove(name)? {
            AttrValue::VarLenString(text) | AttrValue::String(text) | AttrValue::AsciiString(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.file.root().attrs().ok()?.get(name)?.as_f64()
    }

    /// Names of all arrays.
    pub(super) fn names(&self) -> Result<Vec<String>, DatasetError> {
        self.file.root().datasets().map_err(broken)
    }

    /// One array; its claimed size is compared with that of the file before anything is allocated.
    pub(super) fn array(&self, name: &str) -> Result<Array<'static>, DatasetError> {
        use hdf5_pure::Datatype::{FixedPoint, FloatingPoint};
        let dataset = self.file.dataset(name).map_err(broken)?;
        let shape = dataset.shape().map_err(broken)?;
        let datatype = dataset.datatype().map_err(broken)?;
        let (size, signed) = match &datatype {
            FixedPoint { size, layout, .. } => (*size, Some(layout.signed)),
            FloatingPoint { size, .. } => (*size, None),
            _ => return Err(fault(format!("`{name}` holds no numbers"))),
        };
        let claimed = shape.iter().try_fold(u64::from(size), |n, &d| n.checked_mul(d)).filter(|&n| n <= self.bytes);
        if claimed.is_none() {
            return Err(fault(format!("`{name}` claims more bytes than the file has")));
        }
        let data = match (size, signed) {
            (4, None) => Data::F32(dataset.read_f32().map_err(broken)?.into()),
            (8, None) => Data::F64(dataset.read_f64().map_err(broken)?.into()),
            (4, Some(true)) => Data::I32(dataset.read_i32().map_err(broken)?.into()),
            (4, Some(false)) => Data::U32(dataset.read_u32().map_err(broken)?.into()),
            (8, Some(false)) => Data::U64(dataset.read_u64().map_err(broken)?.into()),
            (1, Some(false)) => Data::U8(dataset.read_u8().map_err(broken)?.into()),
            _ => return Err(fault(format!("`{name}` holds numbers of a type that no shard has"))),
        };
        let shape: Vec<usize> = shape.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
        if shape.iter().product::<usize>() != data.len() {
            return Err(fault(format!("`{name}` holds {} numbers in a shape of {shape:?}", data.len())));
        }
        Ok(Array { name: name.to_owned().into(), shape, about: Cow::Borrowed(""), data })
    }
}

/// Does `work` with a file; should the HDF5 library panic on a damaged one, the user still gets a sentence.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, DatasetError>) -> Result<T, DatasetError> {
    // Nothing outlives the closure but its result, so no broken invariant can be seen afterwards.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| Err(fault("the HDF5 library gave up on it")))
}

pub(super) fn fault(reason: impl Into<String>) -> DatasetError {
    DatasetError::Shard { reason: reason.into() }
}

#[expect(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
fn broken(e: hdf5_pure::Error) -> DatasetError {
    fault(format!("the HDF5 library says: {e}"))
}
