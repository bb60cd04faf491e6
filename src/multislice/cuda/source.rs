//! The kernels: their sources as one text, the PTX made from it, and the mark that says whether the two belong together.

/// `kernels/` in the order of the names, as `scripts/kernels.py` takes them.
const KERNELS: [(&str, &str); 13] = [
    ("contract.cu", include_str!("../../../kernels/contract.cu")),
    ("cut.cu", include_str!("../../../kernels/cut.cu")),
    ("detect.cu", include_str!("../../../kernels/detect.cu")),
    ("fused_slices.cu", include_str!("../../../kernels/fused_slices.cu")),
    ("gram.cu", include_str!("../../../kernels/gram.cu")),
    ("grating.cu", include_str!("../../../kernels/grating.cu")),
    ("initialise.cu", include_str!("../../../kernels/initialise.cu")),
    ("large_slices.cu", include_str!("../../../kernels/large_slices.cu")),
    ("multiply.cu", include_str!("../../../kernels/multiply.cu")),
    ("phases.cu", include_str!("../../../kernels/phases.cu")),
    ("potential.cu", include_str!("../../../kernels/potential.cu")),
    ("propagator.cu", include_str!("../../../kernels/propagator.cu")),
    ("transform.cu", include_str!("../../../kernels/transform.cu")),
];

const HEADERS: [(&str, &str); 3] = [
    ("complex.cuh", include_str!("../../../kernels/complex.cuh")),
    ("radix.cuh", include_str!("../../../kernels/radix.cuh")),
    ("stages.cuh", include_str!("../../../kernels/stages.cuh")),
];

/// PTX for compute capability 8.0 and later, made by `scripts/kernels.sh --write`.
pub const PTX: &str = include_str!("../../../kernels/mistilt.ptx");

/// All kernels as one translation unit: every header stands once, where it is first included.
#[must_use]
pub fn source() -> String {
    let (mut out, mut done) = (String::new(), Vec::new());
    for (name, _) in KERNELS {
        take(name, &mut done, &mut out);
    }
    out
}

/// The fused kernel alone: what is compiled for one size.
#[must_use]
pub fn fused_source() -> String {
    let mut out = String::new();
    take("fused_slices.cu", &mut Vec::new(), &mut out);
    out
}

fn take(name: &str, done: &mut Vec<String>, out: &mut String) {
    if done.iter().any(|d| d == name) {
        return;
    }
    done.push(name.to_owned());
    let text = KERNELS.iter().chain(&HEADERS).find(|(n, _)| *n == name).map_or("", |(_, text)| text);
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("#include \"").and_then(|rest| rest.split('"').next()) {
            Some(header) => take(header, done, out),
            None => out.push_str(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mark of a source that the PTX made from it carries in its first line.
    fn mark(source: &str) -> String {
        // FNV-1a, 64 bits: enough to see that a file changed.
        let hash = source.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        format!("{hash:016x}")
    }

    #[test]
    fn the_ptx_was_made_from_these_kernels() {
        let first = PTX.lines().next().unwrap();
        assert_eq!(first, format!("// sources {}", mark(&source())), "kernels changed: run scripts/kernels.sh --write");
    }

    #[test]
    fn every_kernel_file_is_in_the_source_and_every_kernel_in_the_ptx() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if std::path::Path::new(&name).extension().is_some_and(|e| e == "cu") {
                assert!(KERNELS.iter().any(|(known, _)| *known == name), "{name} is not in KERNELS");
            }
        }
        let source = source();
        assert!(!source.contains("#include"));
        for (at, _) in source.match_indices("__global__") {
            let signature = source[at..].split('{').next().unwrap();
            let name = signature.rsplit_once('(').unwrap().0.split_whitespace().last().unwrap();
            assert!(PTX.contains(&format!(".entry {name}(")), "{name} is not in the PTX");
        }
    }
}
