//! The command `mistilt`.

fn main() -> std::process::ExitCode {
    mistilt::cli::main()
}
