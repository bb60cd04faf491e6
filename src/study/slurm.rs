//! A study on a Slurm cluster: a job array of shares over a shared file system, a job that merges them, and what the queue says of both.
//!
//! Every share is `mistilt study run --shard`, so nothing here is needed to be right: a job that is killed, requeued or run twice goes on from
//! the store. Before its time is up a job is told by SIGUSR1, keeps its sums, and requeues itself.

use super::RunError;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What to ask the cluster for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Name of both jobs.
    pub name: String,
    /// This program.
    pub program: PathBuf,
    /// Study file, overrides and places, as a shell reads them.
    pub arguments: String,
    /// Elements of the array: shares.
    pub elements: usize,
    /// Threads of an element.
    pub threads: usize,
    /// Minutes an element may take before it is stopped and requeued.
    pub minutes: u64,
    /// Memory of an element, MB.
    pub megabytes: u64,
    /// Generic resources, such as `gpu:1`.
    pub gres: Option<String>,
    /// Folder of the jobs' logs; it must exist when they start.
    pub logs: PathBuf,
    /// Further options of sbatch, one each, such as `--partition=long`.
    pub options: Vec<String>,
}

/// Jobs that were submitted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Submitted {
    /// The array.
    pub array: String,
    /// The merge, which waits for it.
    pub merge: String,
    /// Elements of the array.
    pub elements: usize,
}

/// A job as the queue shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Job {
    /// Its number, `ARRAY_ELEMENT` for an element.
    pub id: String,
    /// What Slurm calls its state.
    pub state: String,
    /// Why it waits, or where it runs.
    pub reason: String,
}

impl Request {
    /// Seconds before the end at which a job is told to stop.
    const NOTICE: u64 = 120;

    /// The script of the array.
    #[must_use]
    pub fn array_script(&self) -> String {
        let mut out = self.head("%A_%a.log", self.minutes, self.megabytes);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "#SBATCH --array=1-{}", self.elements);
        let _ = writeln!(out, "#SBATCH --cpus-per-task={}", self.threads);
        let _ = writeln!(out, "#SBATCH --signal=B:USR1@{}", Self::NOTICE);
        if let Some(gres) = &self.gres {
            let _ = writeln!(out, "#SBATCH --gres={gres}");
        }
        let shard = format!("--shard \"$SLURM_ARRAY_TASK_ID/{}\" --threads \"${{SLURM_CPUS_PER_TASK:-{}}}\"", self.elements, self.threads);
        let _ = write!(
            out,
            "
# In the background, so that this shell hears the signal and can pass it on.
{} study run {} {shard} &
child=$!
told=
trap 'told=1; kill -USR1 \"$child\"' USR1
trap 'kill -TERM \"$child\"' TERM
wait \"$child\"; code=$?
while kill -0 \"$child\" 2>/dev/null; do wait \"$child\"; code=$?; done
# Stopped since its time is nearly up: what it computed is in the store, and it goes on from there.
if [ -n \"$told\" ] && [ \"$code\" -eq 130 ]; then scontrol requeue \"$SLURM_JOB_ID\"; fi
exit \"$code\"
",
            self.program(),
            self.arguments
        );
        out
    }

    /// The script of the merge of an array, by its number.
    #[must_use]
    pub fn merge_script(&self, array: &str) -> String {
        let mut out = self.head("%j-merge.log", self.minutes.max(30), self.megabytes);
        let _ = write!(
            out,
            "
{} study merge {}; code=$?
# An element that was requeued can count as ended for a moment. While one is in the queue the merge is not the last: it lines up again.
if [ \"$code\" -eq 3 ] && [ -n \"$(squeue -h -j {array} -o %i 2>/dev/null)\" ]; then scontrol requeue \"$SLURM_JOB_ID\"; fi
exit \"$code\"
",
            self.program(),
            self.arguments
        );
        out
    }

    fn head(&self, log: &str, minutes: u64, megabytes: u64) -> String {
        let log = self.logs.join(log);
        let mut out = format!(
            "#!/bin/bash\n#SBATCH --job-name={}\n#SBATCH --output={}\n#SBATCH --open-mode=append\n#SBATCH --requeue\n#SBATCH --time={minutes}\n\
             #SBATCH --mem={megabytes}M\n",
            self.name,
            log.display()
        );
        for option in &self.options {
            let _ = writeln!(out, "#SBATCH {option}");
        }
        out
    }

    fn program(&self) -> String {
        format!("'{}'", self.program.display().to_string().replace('\'', "'\\''"))
    }

    /// Submits the array and, waiting for it whatever becomes of its elements, the merge.
    pub fn submit(&self) -> Result<Submitted, RunError> {
        std::fs::create_dir_all(&self.logs).map_err(RunError::disk(&self.logs))?;
        let array = sbatch(&self.array_script(), &[])?;
        // An element that failed leaves its points missing, and the merge says which.
        let merge = sbatch(&self.merge_script(&array), &[format!("--dependency=afterany:{array}")])?;
        Ok(Submitted { array, merge, elements: self.elements })
    }
}

fn sbatch(script: &str, options: &[String]) -> Result<String, RunError> {
    let refused = |reason: String| RunError::Batch { command: "sbatch".to_owned(), reason };
    let mut child = Command::new("sbatch")
        .arg("--parsable")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| refused(format!("{e}; is this a machine that submits to Slurm? The shares run by hand too: --shard I/N")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A refusal before all is read is told by its exit code.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| refused(e.to_string()))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    // "ID" or "ID;CLUSTER".
    let id = said(&output.stdout).split(';').next().unwrap_or_default().to_owned();
    if !output.status.success() || id.is_empty() {
        return Err(refused(said(&output.stderr)));
    }
    Ok(id)
}

/// The jobs of a submission that are not over, as squeue shows them; `None` where there is no squeue or it does not answer.
#[must_use]
pub fn queue(submitted: &Submitted) -> Option<Vec<Job>> {
    let jobs = format!("{},{}", submitted.array, submitted.merge);
    let text = answer("squeue", &["-h", "-r", "-j", &jobs, "-o", "%i|%T|%r"]);
    // A job that squeue has forgotten is an error to it where it is asked for alone.
    let text = text.or_else(|| answer("squeue", &["-h", "-r", "-o", "%i|%T|%r"]))?;
    let ours = |job: &Job| job.id.split('_').next().is_some_and(|id| id == submitted.array || id == submitted.merge);
    Some(table(&text).into_iter().filter(ours).collect())
}

/// What became of the jobs of a submission, from Slurm's accounting; `None` where it keeps none.
#[must_use]
pub fn accounting(submitted: &Submitted) -> Option<Vec<Job>> {
    let jobs = format!("{},{}", submitted.array, submitted.merge);
    let text = answer("sacct", &["-n", "-X", "-P", "-j", &jobs, "-o", "JobID,State,ExitCode"])?;
    Some(table(&text)).filter(|jobs| !jobs.is_empty())
}

fn answer(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn table(text: &str) -> Vec<Job> {
    let job = |line: &str| {
        let mut parts = line.trim().splitn(3, '|').map(str::to_owned);
        Some(Job { id: parts.next()?, state: parts.next()?, reason: parts.next()? })
    };
    text.lines().filter_map(job).collect()
}

/// Elements of an array for so many seconds of work on one element's threads: half an hour each, no more than there are units, and no more
/// than most clusters allow.
#[must_use]
pub fn elements(seconds: f64, units: usize) -> usize {
    const SECONDS_EACH: f64 = 1800.0;
    const MOST: usize = 1000;
    ((seconds / SECONDS_EACH).ceil() as usize).clamp(1, units.clamp(1, MOST))
}

/// Minutes to ask for: three times the estimate, for clusters are slower than the machine that estimated, and never less than ten.
#[must_use]
pub fn minutes(seconds: f64) -> u64 {
    (3.0 * seconds / 60.0).ceil().clamp(10.0, 60.0 * 24.0 * 7.0) as u64
}

/// Where a submission is remembered.
pub(super) fn record(store: &Path, fingerprint: &str) -> PathBuf {
    store.join("submitted").join(format!("{fingerprint}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            name: "mistilt-tilt".into(),
            program: "/opt/it's here/mistilt".into(),
            arguments: "studies/tilt.toml --set 'crystal.thickness_nm=[10, 20]'".into(),
            elements: 8,
            threads: 4,
            minutes: 30,
            megabytes: 900,
            gres: Some("gpu:1".into()),
            logs: "results/tilt.logs".into(),
            options: vec!["--partition=long".into()],
        }
    }

    #[test]
    fn the_scripts_are_sound_shell_and_ask_for_what_was_asked() {
        let (array, merge) = (request().array_script(), request().merge_script("12"));
        for script in [&array, &merge] {
            let checked = Command::new("bash").args(["-n", "-c", script]).output().unwrap();
            assert!(checked.status.success(), "{script}\n{}", String::from_utf8_lossy(&checked.stderr));
            assert!(script.starts_with("#!/bin/bash\n#SBATCH"));
            assert!(script.contains("#SBATCH --partition=long\n"));
        }
        for line in ["--array=1-8", "--cpus-per-task=4", "--gres=gpu:1", "--time=30", "--mem=900M", "--requeue", "--open-mode=append"] {
            assert!(array.contains(&format!("#SBATCH {line}\n")), "{line} is not in\n{array}");
        }
        let command = r"'/opt/it'\''s here/mistilt' study run studies/tilt.toml --set 'crystal.thickness_nm=[10, 20]' --shard ";
        assert!(array.contains(command), "{array}");
        assert!(!merge.contains("--array") && !merge.contains("--gres"));
    }

    #[cfg(unix)]
    #[test]
    fn a_merge_that_comes_too_early_lines_up_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let command = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        command("scontrol", "echo \"$@\"");
        for (merged, queued, expected) in [(3, "echo 12_3", "requeue 7\n"), (3, "exit 1", ""), (0, "echo 12_3", "")] {
            command("squeue", queued);
            let request = Request { program: command("merge", &format!("exit {merged}")), ..request() };
            let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
            let mut shell = Command::new("bash");
            shell.args(["-c", &request.merge_script("12")]).env("PATH", path).env("SLURM_JOB_ID", "7");
            let output = shell.output().unwrap();
            assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()), (Some(merged), expected));
        }
    }

    #[test]
    fn elements_are_half_hours_within_bounds() {
        assert_eq!([elements(0.0, 100), elements(3601.0, 100), elements(1e9, 40), elements(1e9, 5000)], [1, 3, 40, 1000]);
        assert_eq!([minutes(1.0), minutes(1800.0)], [10, 90]);
    }

    #[test]
    fn queue_lines_are_read() {
        let jobs = table("12_3|RUNNING|None\n12_4|PENDING|Resources\n13|PENDING|Dependency\n\n");
        assert_eq!(jobs.len(), 3);
        assert_eq!((jobs[1].id.as_str(), jobs[1].state.as_str(), jobs[1].reason.as_str()), ("12_4", "PENDING", "Resources"));
    }
}
