//! One entry of the store as bytes: what it was made from in plain text, the result as CBOR, and a checksum over all of it.

use super::RunError;
use super::physics::PHYSICS_VERSION;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// First line of every entry; a new layout gets a new number.
const MAGIC: &[u8] = b"mistilt store 1\n";
const CHECKSUM_BYTES: usize = blake3::OUT_LEN;

/// blake3 of a stage and everything its result depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(blake3::Hash);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a result is kept: its stage, its key, and what the key is the hash of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name of the stage; a folder of the store.
    pub stage: String,
    /// The hash.
    pub key: Key,
    /// Canonical JSON of stage, physics version and inputs: names in alphabetical order, numbers in their shortest exact form.
    inputs: String,
}

impl Address {
    /// The address of a stage's result. Inputs must say all that the result depends on, and nothing else.
    pub fn new(stage: &str, inputs: &impl Serialize) -> Result<Self, RunError> {
        let cannot = |source| RunError::Store { what: format!("the inputs of stage {stage}"), reason: format!("{source}") };
        let mut json =
            serde_json::json!({ "stage": stage, "physics": PHYSICS_VERSION, "inputs": serde_json::to_value(inputs).map_err(cannot)? });
        json.sort_all_objects();
        let inputs = json.to_string();
        Ok(Self { stage: stage.to_owned(), key: Key(blake3::hash(inputs.as_bytes())), inputs })
    }
}

/// What is wrong with the bytes of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is cut short")]
    Short,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it was made from other inputs")]
    OtherInputs,
    #[error("its content cannot be read: {0}")]
    Content(String),
}

/// The bytes of an entry: the same for the same address and value, on any machine.
pub(super) fn encode(address: &Address, value: &impl Serialize) -> Result<Vec<u8>, RunError> {
    let mut bytes = [MAGIC, address.inputs.as_bytes(), b"\n"].concat();
    ciborium::into_writer(value, &mut bytes)
        .map_err(|error| RunError::Store { what: format!("the result of stage {}", address.stage), reason: error.to_string() })?;
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    Ok(bytes)
}

/// The value of an entry, if its bytes are those that were written for this address.
pub(super) fn decode<T: DeserializeOwned>(address: &Address, bytes: &[u8]) -> Result<T, Unreadable> {
    let Some(split) = bytes.len().checked_sub(CHECKSUM_BYTES) else { return Err(Unreadable::Short) };
    let (body, checksum) = bytes.split_at(split);
    if blake3::hash(body).as_bytes() != checksum {
        return Err(Unreadable::Checksum);
    }
    let rest = body.strip_prefix(MAGIC).ok_or(Unreadable::OtherInputs)?;
    let payload = rest.strip_prefix(address.inputs.as_bytes()).and_then(|r| r.strip_prefix(b"\n")).ok_or(Unreadable::OtherInputs)?;
    ciborium::from_reader(payload).map_err(|error| Unreadable::Content(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_key_depends_on_the_content_and_not_on_the_order_of_names() {
        let key = |stage: &str, inputs: &serde_json::Value| Address::new(stage, inputs).unwrap().key;
        let one = key("image", &json!({ "a": { "x": 1.0, "y": 0.1 }, "b": [1, 2] }));
        assert_eq!(one, key("image", &json!({ "b": [1, 2], "a": { "y": 0.1, "x": 1.0 } })));
        for other in [key("frame", &json!({ "a": 1 })), key("image", &json!({ "a": { "x": 1.0, "y": 0.1 }, "b": [2, 1] }))] {
            assert_ne!(one, other);
        }
        assert_eq!(one.to_string().len(), 64);
    }

    #[test]
    fn an_entry_of_other_inputs_or_of_another_type_is_refused() {
        let (one, two) = (Address::new("x", &1).unwrap(), Address::new("x", &2).unwrap());
        let bytes = encode(&one, &"text").unwrap();
        assert_eq!(decode::<String>(&one, &bytes).unwrap(), "text");
        assert_eq!(decode::<String>(&two, &bytes), Err(Unreadable::OtherInputs));
        assert!(matches!(decode::<f64>(&one, &bytes), Err(Unreadable::Content(_))));
        assert_eq!(decode::<String>(&one, &[]), Err(Unreadable::Short));
    }
}
