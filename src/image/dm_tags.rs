//! The tag tree of Gatan DigitalMicrograph files of version 3 and 4: parsed with bounded depth, arrays left where they lie.
//!
//! Layout as documented by C. B. Boothroyd, B. Schaffer and others (<https://er-c.org/cbb/info/dmformat>): tag names, kinds and
//! lengths are big-endian, values in the byte order the head of the file names; version 4 widens lengths to 64 bits.

use super::bytes::Number;
use super::error::FileFault;

/// Groups within groups deeper than this are refused; real files have about 10.
const MAX_DEPTH: usize = 64;

/// More tags than this are refused; real files have some thousands.
const MAX_TAGS: usize = 1 << 20;

/// Description of one value: a struct of 500 fields is the largest that is followed.
const MAX_INFO: u64 = 1024;

/// Parsed head and tag tree of a file.
pub(super) struct TagFile<'a> {
    content: &'a [u8],
    big_endian: bool,
    pub(super) root: Tag,
}

/// A tag: a group of named tags, or a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tag {
    /// Tags with their names; those of a list have empty names.
    Group(Vec<(String, Tag)>),
    /// One number.
    Number(f64),
    /// Numbers in the file: what they are, where they begin and how many.
    Array { element: Element, start: usize, count: usize },
    /// Several numbers.
    Struct(Vec<f64>),
}

/// What an array is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Number(Number),
    /// Records of so many bytes.
    Record(usize),
}

impl Element {
    pub(super) fn size(self) -> usize {
        match self {
            Self::Number(n) => n.size(),
            Self::Record(n) => n,
        }
    }
}

impl Tag {
    /// The tag of a name in a group.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.children().iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }

    /// The tag at a path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |tag, name| tag.get(name))
    }

    /// Named tags of a group; none for a value.
    pub(super) fn children(&self) -> &[(String, Self)] {
        if let Self::Group(children) = self { children } else { &[] }
    }

    pub(super) fn number(&self) -> Option<f64> {
        if let Self::Number(value) = self { Some(*value) } else { None }
    }
}

impl TagFile<'_> {
    /// The numbers or records of an array.
    pub(super) fn bytes(&self, tag: &Tag) -> Option<(&[u8], Element, usize)> {
        let Tag::Array { element, start, count } = *tag else { return None };
        let end = start.checked_add(element.size().checked_mul(count)?)?;
        Some((self.content.get(start..end)?, element, count))
    }

    pub(super) fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// Text: DM keeps it as an array of 16-bit characters.
    pub(super) fn text(&self, tag: &Tag) -> Option<String> {
        let (bytes, element, count) = self.bytes(tag)?;
        if element != Element::Number(Number::U16) || count > 4096 {
            return None;
        }
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|b| if self.big_endian { u16::from_be_bytes([b[0], b[1]]) } else { u16::from_le_bytes([b[0], b[1]]) })
            .collect();
        Some(String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned())
    }
}

/// Whether a file begins like a DM file of version 3 or 4.
pub(super) fn is_dm(start: &[u8]) -> bool {
    let word = |at: usize| start.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    match word(0) {
        Some(3) => matches!(word(8), Some(0 | 1)),
        Some(4) => matches!(word(12), Some(0 | 1)),
        _ => false,
    }
}

/// Parses head and tags.
pub(super) fn parse(content: &[u8]) -> Result<TagFile<'_>, FileFault> {
    let mut cursor = Cursor { content, at: 0, wide: false, big_endian: false, tags: 0 };
    let version = cursor.u32()?;
    cursor.wide = match version {
        3 => false,
        4 => true,
        _ => return Err(FileFault::unsupported(format!("is a DigitalMicrograph file of version {version}; 3 and 4 are known"))),
    };
    // The length of the root is often wrong in real files; what is read is bounded by the file itself.
    let _root_length = cursor.length()?;
    cursor.big_endian = match cursor.u32()? {
        0 => true,
        1 => false,
        other => return Err(FileFault::damaged(format!("its byte order is {other}, neither 0 nor 1"))),
    };
    let root = cursor.group(0)?;
    Ok(TagFile { content, big_endian: cursor.big_endian, root })
}

struct Cursor<'a> {
    content: &'a [u8],
    at: usize,
    /// Version 4: lengths of 64 bits.
    wide: bool,
    /// Byte order of values.
    big_endian: bool,
    tags: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], FileFault> {
        let end = self.at.checked_add(n);
        let bytes = end.and_then(|end| self.content.get(self.at..end));
        let bytes = bytes.ok_or_else(|| {
            FileFault::damaged(format!("it ends at byte {} within a tag that needs {n} bytes from byte {}", self.content.len(), self.at))
        })?;
        self.at += n;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FileFault> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, FileFault> {
        self.array().map(u32::from_be_bytes)
    }

    /// A count or length: 32 bits in version 3, 64 in version 4.
    fn length(&mut self) -> Result<u64, FileFault> {
        if self.wide { self.array().map(u64::from_be_bytes) } else { self.u32().map(u64::from) }
    }

    fn group(&mut self, depth: usize) -> Result<Tag, FileFault> {
        if depth > MAX_DEPTH {
            return Err(FileFault::damaged(format!("its groups nest deeper than {MAX_DEPTH}")));
        }
        let _sorted_and_open: [u8; 2] = self.array()?;
        let count = self.length()?;
        let mut children = Vec::new();
        for _ in 0..count {
            self.tags += 1;
            if self.tags > MAX_TAGS {
                return Err(FileFault::damaged(format!("it has more than {MAX_TAGS} tags")));
            }
            let [kind] = self.array()?;
            if kind == 0 {
                break;
            }
            let name_length = usize::from(self.array().map(u16::from_be_bytes)?);
            // Names are Latin-1.
            let name = self.take(name_length)?.iter().map(|&b| char::from(b)).collect();
            if self.wide {
                let _tag_length = self.length()?;
            }
            match kind {
                20 => children.push((name, self.group(depth + 1)?)),
                21 => {
                    if let Some(value) = self.value()? {
                        children.push((name, value));
                    }
                }
                other => return Err(FileFault::damaged(format!("it has a tag of kind {other}; 20 and 21 are known"))),
            }
        }
        Ok(Tag::Group(children))
    }

    /// A value and its description; `None` for one that holds no numbers.
    fn value(&mut self) -> Result<Option<Tag>, FileFault> {
        if self.take(4)? != b"%%%%" {
            return Err(FileFault::damaged(format!("the mark of a value is missing at byte {}", self.at - 4)));
        }
        let words = self.length()?;
        if words == 0 || words > MAX_INFO {
            return Err(FileFault::damaged(format!("the description of a value has {words} words")));
        }
        let info: Vec<u64> = (0..words).map(|_| self.length()).collect::<Result<_, _>>()?;
        match info[0] {
            15 => self.record(&info).map(Some),
            18 => {
                // Text (rare: most is an array of 16-bit characters); its length is in bytes.
                let count = to_size(info.get(1).copied())?;
                self.skip_array(Element::Record(1), count).map(Some)
            }
            20 => {
                let (element, count) = array_element(&info)?;
                self.skip_array(element, count).map(Some)
            }
            code => {
                let number = simple(code)?;
                let bytes = self.take(number.size())?;
                Ok(Some(Tag::Number(number.decode(bytes, self.big_endian))))
            }
        }
    }

    fn record(&mut self, info: &[u64]) -> Result<Tag, FileFault> {
        let mut values = Vec::new();
        for code in fields(info)? {
            let number = simple(code)?;
            let bytes = self.take(number.size())?;
            values.push(number.decode(bytes, self.big_endian));
        }
        Ok(Tag::Struct(values))
    }

    fn skip_array(&mut self, element: Element, count: usize) -> Result<Tag, FileFault> {
        let start = self.at;
        let bytes = element.size().checked_mul(count).ok_or_else(|| FileFault::damaged("the length of an array overflows"))?;
        self.take(bytes)?;
        Ok(Tag::Array { element, start, count })
    }
}

/// The number type of a code.
fn simple(code: u64) -> Result<Number, FileFault> {
    Ok(match code {
        2 => Number::I16,
        3 => Number::I32,
        4 => Number::U16,
        5 => Number::U32,
        6 => Number::F32,
        7 => Number::F64,
        8 => Number::Bool,
        9 => Number::I8,
        10 => Number::U8,
        11 => Number::I64,
        12 => Number::U64,
        _ => return Err(FileFault::damaged(format!("it has a value of type {code}, which is not known"))),
    })
}

/// The type codes of the fields of a struct `[15, name length, count, (name length, type) ...]`.
fn fields(info: &[u64]) -> Result<Vec<u64>, FileFault> {
    let wrong = || FileFault::damaged("the description of a struct is cut short");
    let count = to_size(info.get(2).copied())?;
    let pairs = info.get(3..).ok_or_else(wrong)?;
    if pairs.len() < count.checked_mul(2).ok_or_else(wrong)? {
        return Err(wrong());
    }
    Ok(pairs.chunks_exact(2).take(count).map(|p| p[1]).collect())
}

/// What an array `[20, element ..., length]` holds, and how many.
fn array_element(info: &[u64]) -> Result<(Element, usize), FileFault> {
    let wrong = || FileFault::damaged("the description of an array is cut short");
    let (&length, description) = info.split_last().filter(|(_, d)| d.len() >= 2).ok_or_else(wrong)?;
    let element = match description[1] {
        15 => {
            let sizes: Vec<usize> =
                fields(&description[1..])?.into_iter().map(|c| simple(c).map(Number::size)).collect::<Result<_, _>>()?;
            Element::Record(sizes.iter().sum())
        }
        18 => Element::Record(to_size(description.get(2).copied())?),
        // An array of arrays is never an image: its description is followed only to step over it.
        20 => {
            let (inner, count) = array_element(&description[1..])?;
            Element::Record(inner.size().checked_mul(count).ok_or_else(wrong)?)
        }
        code => Element::Number(simple(code)?),
    };
    Ok((element, to_size(Some(length))?))
}

fn to_size(value: Option<u64>) -> Result<usize, FileFault> {
    value.and_then(|v| usize::try_from(v).ok()).ok_or_else(|| FileFault::damaged("the length of a value is missing or too large"))
}
