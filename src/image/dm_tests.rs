//! Tests of the DigitalMicrograph reader on files written here, tag by tag: both versions, both byte orders, every number type.

use super::*;
use crate::image::{FileFault, ReadOptions};

/// A tiny writer of DM files, for tests only.
pub(in crate::image) mod writer {
    /// Version (3 or 4) and byte order of the values.
    #[derive(Clone, Copy)]
    pub(in crate::image) struct Style {
        pub(in crate::image) version: u32,
        pub(in crate::image) big_endian: bool,
    }

    /// A tag to write.
    pub(in crate::image) enum Node {
        Group(Vec<(&'static str, Node)>),
        /// Type code and little-endian bytes.
        Value(u64, Vec<u8>),
        Text(&'static str),
        /// Type code, size of one number and little-endian bytes.
        Array(u64, usize, Vec<u8>),
        /// A struct of f32.
        Struct(Vec<f32>),
        /// A string (code 18), rare in real files.
        String(&'static str),
    }

    pub(in crate::image) fn u32_value(v: u32) -> Node {
        Node::Value(5, v.to_le_bytes().to_vec())
    }

    pub(in crate::image) fn f32_value(v: f32) -> Node {
        Node::Value(6, v.to_le_bytes().to_vec())
    }

    impl Style {
        fn length(self, out: &mut Vec<u8>, n: u64) {
            if self.version == 4 { out.extend(n.to_be_bytes()) } else { out.extend((n as u32).to_be_bytes()) }
        }

        fn numbers(self, out: &mut Vec<u8>, size: usize, little: &[u8]) {
            for number in little.chunks(size) {
                let order: Vec<u8> = if self.big_endian { number.iter().rev().copied().collect() } else { number.to_vec() };
                out.extend(order);
            }
        }

        fn info(self, out: &mut Vec<u8>, words: &[u64]) {
            out.extend(b"%%%%");
            self.length(out, words.len() as u64);
            for &w in words {
                self.length(out, w);
            }
        }

        fn body(self, node: &Node) -> Vec<u8> {
            let mut out = Vec::new();
            match node {
                Node::Group(children) => {
                    out.extend([1, 0]);
                    self.length(&mut out, children.len() as u64);
                    for (name, child) in children {
                        self.entry(&mut out, name, child);
                    }
                }
                Node::Value(code, bytes) => {
                    self.info(&mut out, &[*code]);
                    self.numbers(&mut out, bytes.len(), bytes);
                }
                Node::Text(text) => {
                    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                    self.info(&mut out, &[20, 4, units.len() as u64 / 2]);
                    self.numbers(&mut out, 2, &units);
                }
                Node::String(text) => {
                    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                    self.info(&mut out, &[18, units.len() as u64]);
                    self.numbers(&mut out, 2, &units);
                }
                Node::Array(code, size, bytes) => {
                    self.info(&mut out, &[20, *code, (bytes.len() / size) as u64]);
                    self.numbers(&mut out, *size, bytes);
                }
                Node::Struct(values) => {
                    let mut words = vec![15, 0, values.len() as u64];
                    words.extend(values.iter().flat_map(|_| [0, 6]));
                    self.info(&mut out, &words);
                    for v in values {
                        self.numbers(&mut out, 4, &v.to_le_bytes());
                    }
                }
            }
            out
        }

        fn entry(self, out: &mut Vec<u8>, name: &str, node: &Node) {
            out.push(if matches!(node, Node::Group(_)) { 20 } else { 21 });
            out.extend((name.len() as u16).to_be_bytes());
            out.extend(name.bytes());
            let body = self.body(node);
            if self.version == 4 {
                out.extend((body.len() as u64).to_be_bytes());
            }
            out.extend(body);
        }

        /// A whole file.
        pub(in crate::image) fn file(self, root: &Node) -> Vec<u8> {
            let body = self.body(root);
            let mut out = self.version.to_be_bytes().to_vec();
            self.length(&mut out, body.len() as u64);
            out.extend(u32::from(!self.big_endian).to_be_bytes());
            out.extend(body);
            out.extend([0; 8]);
            out
        }
    }

    /// An image of the given sides with one preview before it.
    pub(in crate::image) fn scene(sides: &[u32], data_type: u32, code: u64, size: usize, data: Vec<u8>, unit: &'static str) -> Node {
        let list = |items: Vec<Node>| Node::Group(items.into_iter().map(|n| ("", n)).collect());
        let axis = |scale: f32| Node::Group(vec![("Origin", f32_value(0.0)), ("Scale", f32_value(scale)), ("Units", Node::Text(unit))]);
        let image_data = |sides: &[u32], data_type: u32, array: Node| {
            Node::Group(vec![
                ("Calibrations", Node::Group(vec![("Dimension", list(sides.iter().map(|_| axis(0.0151)).collect()))])),
                ("Data", array),
                ("DataType", u32_value(data_type)),
                ("Dimensions", list(sides.iter().map(|&s| u32_value(s)).collect())),
                ("PixelDepth", u32_value(size as u32)),
            ])
        };
        let preview = Node::Group(vec![("ImageData", image_data(&[1, 1], 23, Node::Array(5, 4, vec![1, 2, 3, 0])))]);
        let microscope = Node::Group(vec![
            ("Voltage", f32_value(200_000.0)),
            ("HAADF Inner Ang (mrad)", f32_value(70.0)),
            ("HAADF Outer Ang (mrad)", f32_value(200.0)),
            ("Stage Position", Node::Struct(vec![1.0, 2.0])),
            ("Comment", Node::String("µ")),
        ]);
        let image = Node::Group(vec![
            ("ImageData", image_data(sides, data_type, Node::Array(code, size, data))),
            ("ImageTags", Node::Group(vec![("Microscope Info", microscope)])),
            ("Name", Node::Text("HAADF")),
            ("UniqueID", list(vec![u32_value(1), u32_value(2), u32_value(3), u32_value(4)])),
        ]);
        Node::Group(vec![
            ("ImageList", list(vec![preview, image])),
            ("Thumbnails", list(vec![Node::Group(vec![("ImageIndex", u32_value(0))])])),
        ])
    }
}

use writer::{Style, scene};

pub(in crate::image) const STYLES: [Style; 4] = [
    Style { version: 3, big_endian: false },
    Style { version: 3, big_endian: true },
    Style { version: 4, big_endian: false },
    Style { version: 4, big_endian: true },
];

/// DigitalMicrograph's type, the tag's type code, bytes of a number, two numbers as little-endian bytes, and the second.
pub(in crate::image) type NumberType = (u32, u64, usize, Vec<u8>, f32);

/// Every real type; the first number is always 1.
pub(in crate::image) fn number_types() -> [NumberType; 11] {
    [
        (1, 2, 2, [1_i16, -2].iter().flat_map(|v| v.to_le_bytes()).collect(), -2.0),
        (2, 6, 4, [1_f32, -2.5].iter().flat_map(|v| v.to_le_bytes()).collect(), -2.5),
        (6, 10, 1, vec![1, 200], 200.0),
        (7, 3, 4, [1_i32, -70000].iter().flat_map(|v| v.to_le_bytes()).collect(), -70000.0),
        (9, 9, 1, vec![1, 0xfe], -2.0),
        (10, 4, 2, [1_u16, 60000].iter().flat_map(|v| v.to_le_bytes()).collect(), 60000.0),
        (11, 5, 4, [1_u32, 1 << 31].iter().flat_map(|v| v.to_le_bytes()).collect(), 2_147_483_648.0),
        (12, 7, 8, [1_f64, -0.5].iter().flat_map(|v| v.to_le_bytes()).collect(), -0.5),
        (14, 8, 1, vec![1, 0], 0.0),
        (39, 11, 8, [1_i64, -3].iter().flat_map(|v| v.to_le_bytes()).collect(), -3.0),
        (40, 12, 8, [1_u64, 1 << 40].iter().flat_map(|v| v.to_le_bytes()).collect(), 1_099_511_627_776.0),
    ]
}

#[test]
fn every_number_type_is_read_in_both_versions_and_byte_orders() {
    for style in STYLES {
        for (kind, code, size, data, second) in number_types() {
            let content = style.file(&scene(&[2, 1], kind, code, size, data, "nm"));
            let image = read(&content, Page::Only).unwrap_or_else(|e| panic!("type {kind}, version {}: {e}", style.version));
            assert_eq!((image.width, image.height), (2, 1));
            assert_eq!(image.data, [1.0, second], "type {kind}, version {}, big-endian {}", style.version, style.big_endian);
        }
    }
}

#[test]
fn calibration_voltage_and_angles_are_read_and_the_preview_is_passed_over() {
    for (unit, pm) in [("nm", 15.1), ("µm", 15100.0), ("Å", 1.51), ("pm", 0.0151)] {
        let content = STYLES[2].file(&scene(&[1, 2], 6, 10, 1, vec![5, 6], unit));
        let image = Image::from_bytes("a.dm4", &content, &ReadOptions::default()).unwrap();
        assert!((image.pixel_size_pm.unwrap() / pm - 1.0).abs() < 1e-6, "{unit}");
        assert_eq!((image.width, image.height, &image.data[..]), (1, 2, &[5.0, 6.0][..]));
        let m = &image.metadata;
        assert_eq!((m.beam_energy_kev, m.detector_inner_mrad, m.detector_outer_mrad), (Some(200.0), Some(70.0), Some(200.0)));
        assert_eq!(
            (m.title.as_deref(), m.detector_name.as_deref(), m.original_units.as_deref()),
            (Some("HAADF"), Some("HAADF"), Some(unit))
        );
    }
}

#[test]
fn stacks_are_refused_with_how_to_choose_and_then_chosen_from() {
    let content = STYLES[0].file(&scene(&[2, 1, 3], 6, 10, 1, vec![1, 2, 3, 4, 5, 6], "nm"));
    assert_eq!(read(&content, Page::Only).unwrap_err(), FileFault::Stack { count: 3, width: 2, height: 1 });
    assert_eq!(read(&content, Page::Index(1)).unwrap().data, [3.0, 4.0]);
    assert_eq!(read(&content, Page::Sum).unwrap().data, [9.0, 12.0]);
}

#[test]
fn complex_packed_and_damaged_files_are_refused_in_words() {
    let complex = STYLES[0].file(&scene(&[2, 1], 3, 6, 4, vec![0; 16], "nm"));
    let packed = STYLES[0].file(&scene(&[16, 1], 14, 5, 4, vec![0; 4], "nm"));
    let short = STYLES[0].file(&scene(&[20, 1], 6, 10, 1, vec![0; 16], "nm"));
    let whole = STYLES[3].file(&scene(&[2, 1], 6, 10, 1, vec![1, 2], "nm"));
    for (content, says) in
        [(&complex[..], "complex"), (&packed, "packed"), (&short, "need 20 bytes and only 16"), (&whole[..200], "ends at byte 200")]
    {
        let fault = read(content, Page::Only).unwrap_err().to_string();
        assert!(fault.contains(says), "{fault}");
    }
}

#[test]
fn colour_becomes_luminance() {
    let content = STYLES[0].file(&scene(&[2, 1], 23, 5, 4, vec![0, 0, 100, 0, 7, 7, 7, 0], "nm"));
    let image = read(&content, Page::Only).unwrap();
    assert!((image.data[0] - 29.9).abs() < 1e-4 && (image.data[1] - 7.0).abs() < 1e-6, "{:?}", image.data);
    assert_eq!(image.metadata.notes.len(), 1);
}

#[test]
fn groups_nested_without_end_are_refused() {
    // Each level is one group with one group: kind 20, empty name.
    let mut content = vec![0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1];
    for _ in 0..200_000 {
        content.extend([1, 0, 0, 0, 0, 1, 20, 0, 0]);
    }
    assert!(read(&content, Page::Only).unwrap_err().to_string().contains("deeper than 64"));
}
