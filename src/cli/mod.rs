//! The command `mistilt`: parses arguments, calls the library, prints. Data goes to stdout, talk to stderr.

mod camera;
mod columns;
mod completions;
mod converge;
mod devices;
mod failure;
mod features;
mod library;
mod man;
mod open;
mod output;
mod polarization;
mod predict;
mod scenes;
mod schema;
mod sensitivity;
mod simulate;
mod simulate_scene;
mod specimen;
mod structures;
mod study;
mod train;
mod trial;
mod verdict;

use clap::{CommandFactory, Parser, Subcommand};
use failure::Failure;
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;

pub use devices::DeviceArgs;
pub use study::{ResultsArgs, RunArgs, StudyArgs};

/// How much of the polarization in an ADF-STEM image is the crystal, and how much is mis-tilt, noise and analysis?
///
/// A study file says which crystal, microscope and mis-tilts to simulate; the study
/// reports how far the measured atomic columns stand from the true ones. Start with
/// a study that ships:
///
///   mistilt study plan studies/tilt.toml
///   mistilt study run studies/tilt.toml
///
/// Data goes to stdout and talk to stderr. Exit codes: 0 done, 1 failed, 2 bad input,
/// 3 incomplete, 130 interrupted. The variable `NO_COLOR` switches colours off.
#[derive(Debug, Parser)]
#[command(name = "mistilt", version, verbatim_doc_comment, propagate_version = true, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags every command takes.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Global {
    /// Print data as JSON instead of text. Default: text
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing on stderr but errors. Default: say what is done
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plan and run studies
    #[command(subcommand)]
    Study(study::Command),
    /// Simulate one point of a study file to an image with its truth
    ///
    /// The format follows the ending of the file: .npy, .tif or .hspy (HyperSpy). Beside it
    /// stands a .json file with the pixel size and the true columns. x points right, y down.
    /// A study with a [camera] gives its first noisy frame, and how far each stage of the scan
    /// moved every column.
    ///
    /// Examples:
    ///
    ///   mistilt simulate studies/tilt.toml -o tilted.tif
    ///   mistilt simulate studies/tilt.toml --point 10 -o tilted.hspy
    ///   mistilt simulate studies/tilt.toml --set 'sweep.axes."crystal.thickness_nm"=[20]' -o image.npy
    #[command(verbatim_doc_comment)]
    Simulate(simulate::Args),
    /// Show what the camera of a study does to an image, stage by stage
    ///
    /// Takes one point of a study with a [camera] table through source size, probe tails, drift,
    /// jitter, sinusoids, flyback, contamination, dose, detector noise, hot and dead pixels, line
    /// offsets and converter. Writes a folder with chain.svg and .png (one panel a stage),
    /// scan-noise.svg and .png (spectrum of the row displacements against the one that the
    /// settings state), frame.npy (the last stage), stages.json and scan-noise.json.
    ///
    /// Examples:
    ///
    ///   mistilt camera studies/dose.toml
    ///   mistilt camera studies/tilt.toml --set camera.preset=raw -o results/raw-camera
    #[command(verbatim_doc_comment)]
    Camera(camera::Args),
    /// Say what sampling, k-grid, slices and phonons cost in pm and %
    ///
    /// Takes one point of a study, changes one numerical setting at a time, and prints how far
    /// the measured shift and the mean intensity move. A knob whose row reads less than the
    /// picometres you care about is fine enough.
    ///
    /// Examples:
    ///
    ///   mistilt converge studies/tilt.toml
    ///   mistilt converge studies/tilt.toml --point 3 --json
    #[command(verbatim_doc_comment)]
    Converge(converge::Args),
    /// Image the scenes of a study, with their truth and figures
    ///
    /// Every point of a study file with a [scene] becomes an image of the whole scene on the
    /// first detector, with its truth in a sidecar and cell by cell in a .csv file (shift in pm,
    /// tilt in mrad, thickness in nm, composition), and a map of the true polarization. One
    /// figure shows all scenes side by side. Points that differ in the scene alone share what
    /// multislice computes.
    ///
    /// Example:
    ///
    ///   mistilt scenes studies/scenes.toml -o results/scenes
    #[command(verbatim_doc_comment)]
    Scenes(scenes::Args),
    /// Hold the library of a study's scene against multislice of whole scenes
    ///
    /// Images of scenes are put together from responses of single columns, which multislice
    /// computes once. This command says what that costs: it images strips of cells that hold
    /// walls, random polarization, substitution and mis-tilt both ways, in the microscope, with
    /// the thickness and sampling of the study, and prints how far columns and intensities
    /// differ, away from walls and at them. With -o it draws them column by column.
    ///
    /// Examples:
    ///
    ///   mistilt library studies/scenes.toml
    ///   mistilt library studies/scenes.toml --cells 8 --set crystal.thickness_nm=10 -o results/library
    #[command(verbatim_doc_comment)]
    Library(library::Args),
    /// Find and fit the atomic columns of an image
    ///
    /// Reads .npy, .npz, TIFF, PNG, HyperSpy .hspy, .emd (Berkeley, Velox), .h5 and Gatan .dm3/.dm4,
    /// finds the lattice, tells the A and B sublattices apart and fits every column. Prints one
    /// line a column: site, index, position and its standard deviation in px (x right, y down).
    ///
    /// Examples:
    ///
    ///   mistilt columns scan.dm4 > columns.csv
    ///   mistilt columns scan.tif --zone 110 --estimator gaussian --json
    #[command(verbatim_doc_comment)]
    Columns(columns::Args),
    /// Map the polarization of an image: B column minus the mean of its A columns
    ///
    /// Finds and fits the columns of an image of a perovskite, and writes a folder with
    /// cells.csv and map.npz (displacement in pm, uncertainty, local lattice parameters,
    /// intensities; one row a cell), columns.csv, polarization-x.hspy and -y.hspy (for
    /// HyperSpy), figures/*.svg and *.png, and report.html. x points right, y down. Where the
    /// image carries its truth (a simulated one does), map and truth are compared.
    ///
    /// Examples:
    ///
    ///   mistilt polarization scan.hspy
    ///   mistilt polarization photo.png --pixel-size-pm 15.1 --legend-pm 40
    ///   mistilt polarization scan.tif --lattice-pm 396 --bright-site A --zone 100 -o results/scan
    #[command(verbatim_doc_comment)]
    Polarization(polarization::Args),
    /// Train a network that maps sub-images to polarization
    ///
    /// Reads images or a dataset as the training file says, cuts them into windows, divides those
    /// by a line with a guard band, trains, and tests on windows that nothing has seen. Writes a
    /// folder with model.safetensors (Python's safetensors opens it), model.json (its card: data,
    /// seeds, errors), test.csv, figures and report.html. A checkpoint after every epoch lets a
    /// training that was stopped go on to the same bytes.
    ///
    /// Examples:
    ///
    ///   mistilt train training/real-patch.toml
    ///   mistilt train training/real-patch.toml -o results/net --restart --json
    #[command(verbatim_doc_comment)]
    Train(train::Args),
    /// Predict the polarization of an image with a trained network
    ///
    /// Resamples the image to the pixel size of the model, cuts windows as in its training (on the
    /// B columns that are found, or on a grid, which takes no atom finding), and writes a folder
    /// with predictions.csv, figures and report.html. An image that is unlike the training, by
    /// its pixel size, the look of its windows, or the ensemble's disagreement, is refused with
    /// the reason. Where the image carries its truth the two are compared. x right, y down, pm.
    ///
    /// Examples:
    ///
    ///   mistilt predict results/net scan.hspy
    ///   mistilt predict results/net photo.png --lattice-pm 396 --grid-step-px 4 --force
    #[command(verbatim_doc_comment)]
    Predict(predict::Args),
    /// Show what a trained network looks at in an image
    ///
    /// Writes a folder with the filters, the feature maps layer by layer, and an occlusion map:
    /// how far the prediction moves when a place of the window is blanked, which says whether
    /// the network looks at the B column or at the cage of A columns around it.
    ///
    /// Example:
    ///
    ///   mistilt features results/net scan.hspy --json
    #[command(verbatim_doc_comment)]
    Features(features::Args),
    /// Say how many picometres of polarization a milliradian of mis-tilt fakes
    ///
    /// Computes all tilts from one propagation of the waves and prints, for every thickness,
    /// defocus, source size and estimator, the 2 × 2 matrix of the shift over the specimen tilt
    /// with its curvature and sampling error, and what the estimator measures beyond the true
    /// shift at zero tilt. The images are kept, so the next call for the same specimen takes
    /// seconds. x points right, y down.
    ///
    /// Examples:
    ///
    ///   mistilt sensitivity --structure bifeo3-r3c --thickness-nm 10..40
    ///   mistilt sensitivity --structure film.cif --defocus-nm -4..4 -o results/sensitivity
    ///   mistilt sensitivity studies/tilt.toml --json
    #[command(verbatim_doc_comment)]
    Sensitivity(sensitivity::Args),
    /// Say how much of an image's polarization could be mis-tilt
    ///
    /// Maps the polarization of an image, cuts the map into regions of like polarization, and
    /// compares each with the largest shift that any tilt up to --max-tilt-mrad fakes in the
    /// simulated crystal, whatever its thickness, defocus and source size within their ranges.
    /// Where the image shows its own tilt (a centrosymmetric region, the shape of the columns,
    /// opposite domains), that part is taken out. Writes a folder with report.html, verdict.json,
    /// cells.csv, regions.csv, tilts.csv and figures. The first verdict for a specimen computes its
    /// tilt library, later ones find it again. x points right, y down.
    ///
    /// Examples:
    ///
    ///   mistilt verdict scan.hspy --structure bifeo3-r3c --thickness-nm 15..30
    ///   mistilt verdict scan.dm4 --thickness-nm 20 --max-tilt-mrad 3 --reference darker
    ///   mistilt verdict photo.png --lattice-pm 396 --bend-degree 1 -o results/photo --json
    #[command(verbatim_doc_comment)]
    Verdict(verdict::Args),
    /// Test the verdict on images whose truth is known, or show how tilt makes distributions lopsided
    ///
    /// A trial file of kind "verdict" makes images of known polarization and tilt, judges them as
    /// if neither were known, and reports how often the tilt lies within its own interval, how
    /// often the verdict raises a false alarm or misses a polarization, and how far it is from the
    /// truth, beside the raw map and beside subtracting the mean. One of kind "asymmetry" shows
    /// the distributions of many cells over tilt. Writes a folder with report.html, trial.json,
    /// tables and figures.
    ///
    /// Examples:
    ///
    ///   mistilt trial studies/trials/verdict-validation.toml
    ///   mistilt trial studies/trials/asymmetry.toml -o results/asymmetry --json
    #[command(verbatim_doc_comment)]
    Trial(trial::Args),
    /// List the crystal structures that ship
    ///
    /// Example:
    ///
    ///   mistilt structures --json
    #[command(verbatim_doc_comment)]
    Structures,
    /// Say what this machine can compute on
    ///
    /// Lists processor and CUDA cards, with their memory and what was found to drive them, or
    /// says in a sentence why no card can be used. The last line is what `--device auto` takes.
    ///
    /// Example:
    ///
    ///   mistilt devices --json
    #[command(verbatim_doc_comment)]
    Devices,
    /// Print the JSON Schema of study files, or the reference of their keys
    ///
    /// Editors that read the first line `#:schema ./study.schema.json` of a study file
    /// (VS Code, Helix and Neovim do, through taplo) complete its keys, show what they
    /// mean and underline mistakes.
    ///
    /// Examples:
    ///
    ///   mistilt schema > study.schema.json
    ///   mistilt schema --markdown > study-keys.md
    ///   mistilt schema --training > training.schema.json
    #[command(verbatim_doc_comment)]
    Schema(schema::Args),
    /// Print the completions of a shell
    ///
    /// Examples:
    ///
    ///   mistilt completions bash > ~/.local/share/bash-completion/completions/mistilt
    ///   mistilt completions fish > ~/.config/fish/completions/mistilt.fish
    ///   mistilt completions -o completions
    #[command(verbatim_doc_comment)]
    Completions(completions::Args),
    /// Print a manual page
    ///
    /// Examples:
    ///
    ///   mistilt man > mistilt.1
    ///   mistilt man study plan > mistilt-study-plan.1
    ///   mistilt man -o man1
    #[command(verbatim_doc_comment)]
    Man(man::Args),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs one command line, its first word the program's name, and returns the exit code: 0 ok, 1 failed, 2 bad input, 3 incomplete, 130 stopped.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let mut output = Output::new(cli.global.json, cli.global.quiet);
    let result = match cli.command {
        Command::Study(command) => study::run(&command, &mut output),
        Command::Simulate(args) => simulate::run(&args, &mut output),
        Command::Camera(args) => camera::run(&args, &mut output),
        Command::Converge(args) => converge::run(&args, &mut output),
        Command::Library(args) => library::run(&args, &mut output),
        Command::Scenes(args) => scenes::run(&args, &mut output),
        Command::Columns(args) => columns::run(&args, &mut output),
        Command::Polarization(args) => polarization::run(&args, &mut output),
        Command::Train(args) => train::run(&args, &mut output),
        Command::Predict(args) => predict::run(&args, &mut output),
        Command::Features(args) => features::run(&args, &mut output),
        Command::Sensitivity(args) => sensitivity::run(&args, &mut output),
        Command::Verdict(args) => verdict::run(&args, &mut output),
        Command::Trial(args) => trial::run(&args, &mut output),
        Command::Structures => structures::run(&mut output),
        Command::Devices => devices::run(&mut output),
        Command::Schema(args) => schema::run(&args, &mut output),
        Command::Completions(args) => completions::run(&args, &mut output),
        Command::Man(args) => man::run(&args, &mut output),
    };
    // An incomplete command has data to show too.
    let finished = output.finish();
    result.and_then(|()| Ok(finished?)).map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}

/// The whole command line, for help, completions and manual pages.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The long help of every command, one after the other, 100 columns wide.
#[must_use]
pub fn help_text() -> String {
    fn walk(command: &mut clap::Command, out: &mut String) {
        let name = command.get_bin_name().unwrap_or("mistilt").to_owned();
        let rule = "=".repeat(80);
        let help = command.render_long_help().to_string();
        // Clap pads some lines; a text file has no blanks at the ends of its lines.
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        out.extend([&rule, "\n", &name, " --help\n", &rule, "\n\n", &lines.join("\n"), "\n\n"]);
        for child in command.get_subcommands_mut().filter(|c| c.get_name() != "help") {
            walk(child, out);
        }
    }
    let mut root = command().term_width(100);
    root.build();
    let mut out = String::new();
    walk(&mut root, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_a_long_help_with_an_example() {
        fn walk(command: &clap::Command) {
            let leaf = command.get_subcommands().all(|c| c.get_name() == "help");
            if leaf && command.get_name() != "help" {
                let help = command.clone().render_long_help().to_string();
                assert!(help.contains("Example"), "{} has no example", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&command());
    }
}
