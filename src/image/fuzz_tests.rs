//! Damaged files of every format, a few thousand from fixed seeds: never a panic, never much memory, always a sentence.

use super::dm::tests::writer::{Style, scene};
use super::{Image, MAX_PIXELS, Page, ReadOptions, UnitCellTable};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Address space of the run, KiB: no fixture is above 30 KB, so anything near this is a claim believed unchecked.
const ADDRESS_SPACE_KIB: u32 = 1 << 20;

/// Set in the process that runs under the memory limit.
const CHILD: &str = "MISTILT_FUZZ_CHILD";

#[test]
fn damaged_files_give_a_sentence_in_bounded_memory() {
    if std::env::var_os(CHILD).is_some() || !cfg!(unix) {
        run_corpus();
        return;
    }
    // An allocation beyond the limit aborts the process, so it is run apart.
    let name = "image::fuzz_tests::damaged_files_give_a_sentence_in_bounded_memory";
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB} && exec \"$0\" --exact {name} --test-threads 1");
    let child = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().rev().take(4000).collect::<String>().chars().rev().collect::<String>();
    assert!(child.status.success(), "{}\n{}", text(&child.stdout), text(&child.stderr));
    assert!(text(&child.stdout).contains("1 passed"), "the corpus did not run: {}", text(&child.stdout));
}

fn run_corpus() {
    let mut cases = 0;
    // More rounds for a longer search by hand.
    let rounds: u64 = std::env::var("MISTILT_FUZZ_ROUNDS").map_or(1, |n| n.parse().unwrap());
    let files = whole_files();
    for (seed, (name, content)) in (0..rounds).flat_map(|_| &files).enumerate() {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        for damaged in damage(content, &mut random) {
            check(name, &damaged);
            if content.starts_with(b"\x89HDF") {
                check_streamed(name, &damaged);
            }
            cases += 1;
        }
    }
    assert!(cases > 3000, "{cases} cases");
}

/// Every fixture, one PNG and eight DM files.
fn whole_files() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/image");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e != "md"));
    paths.sort();
    let mut files: Vec<(String, Vec<u8>)> =
        paths.iter().map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(p).unwrap())).collect();
    let mut png = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut png, 5, 4);
    encoder.set_color(::png::ColorType::Rgba);
    encoder.write_header().unwrap().write_image_data(&(0..80).collect::<Vec<u8>>()).unwrap();
    files.push(("a.png".into(), png));
    for version in [3, 4] {
        for big_endian in [false, true] {
            let style = Style { version, big_endian };
            files.push((format!("a.dm{version}"), style.file(&scene(&[5, 4], 6, 10, 1, (0..20).collect(), "nm"))));
            files.push((format!("colour.dm{version}"), style.file(&scene(&[5, 4], 23, 5, 4, (0..80).collect(), "nm"))));
        }
    }
    files
}

/// The file cut short, with bits flipped, and with words set to extreme values; more often at the start, where the lengths are.
fn damage(content: &[u8], random: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    let below = |random: &mut ChaCha8Rng, n: usize| (random.next_u64() % n.max(1) as u64) as usize;
    let mut cases = vec![Vec::new(), content.to_vec()];
    for _ in 0..30 {
        cases.push(content[..below(random, content.len())].to_vec());
    }
    for i in 0..80 {
        let mut changed = content.to_vec();
        for _ in 0..=(i % 3) {
            let reach = if i % 2 == 0 { content.len().min(400) } else { content.len() };
            let at = below(random, reach);
            changed[at] ^= 1 << below(random, 8);
        }
        cases.push(changed);
    }
    for i in 0..40 {
        let mut changed = content.to_vec();
        let at = below(random, content.len().saturating_sub(8));
        let word = [[0xff; 8], [0; 8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], [0, 0, 0, 0x40, 0, 0, 0, 0]][i % 4];
        let n = [2, 4, 8][i % 3].min(changed.len() - at);
        changed[at..at + n].copy_from_slice(&word[..n]);
        cases.push(changed);
    }
    cases
}

fn check(name: &str, content: &[u8]) {
    for page in [Page::Only, Page::Sum] {
        let options = ReadOptions { page, ..ReadOptions::default() };
        match Image::from_bytes(Path::new(name), content, &options) {
            Ok(image) => assert!(image.data.len() == image.width * image.height && image.data.len() <= MAX_PIXELS, "{name}"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with(&format!("`{name}`")) && text.len() > name.len() + 12 && text.len() < 4000, "{name}: {text}");
            }
        }
    }
}

/// HDF5 files on disk are read piece by piece, by other code than those in memory.
fn check_streamed(name: &str, content: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    for error in [Image::read(&path, &ReadOptions::default()).err(), UnitCellTable::read(&path).err()].into_iter().flatten() {
        let text = error.to_string();
        assert!(text.contains(name) && text.len() < 4000, "{text}");
    }
}

#[test]
fn files_cut_short_are_refused_by_every_reader_that_knows_its_length() {
    for (name, content) in whole_files() {
        // HDF5 and zip keep their tables at the end or anywhere; for the others the pixels are at the end.
        let extension = name.rsplit('.').next().unwrap();
        if !["npy", "dm3", "dm4"].contains(&extension) {
            continue;
        }
        let cut = content.len() - 30;
        let error = Image::from_bytes(&name, &content[..cut], &ReadOptions { page: Page::Sum, ..ReadOptions::default() }).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{name}: {error}");
    }
}
