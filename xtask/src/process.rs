//! Starting other programs: never through a shell, never with our stdin.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{paths, ui};

/// How long a quiet run may stay without a sign of life on the screen.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// How cargo's lines begin that tell of nothing but work.
const CHATTER: [&str; 6] = ["Checking ", "Compiling ", "Blocking ", "Downloading ", "Downloaded ", "Fresh "];

/// A command that starts in the repository's root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(paths::root()).stdin(Stdio::null());
    command
}

/// A cargo command, with the cargo that runs us.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// Runs with output on our screen; fails when the program fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    demand(status, command)
}

/// Runs and returns what it printed on stdout; stderr stays on our screen.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    demand(output.status, command)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first line on stdout, or `None` when the program is absent or fails.
pub(crate) fn probe(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Whether a program can be started at all.
pub(crate) fn exists(program: &str) -> bool {
    probe(command(program).arg("--version")).is_some()
}

/// The program of this name on the PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(paths::exe(name))).find(|program| program.is_file())
}

/// What a watched program did.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) ok: bool,
    pub(crate) output: String,
}

impl Watched {
    /// The last lines that say something, for a report of a failure.
    pub(crate) fn tail(&self, lines: usize) -> String {
        let telling = |line: &&str| !CHATTER.iter().any(|word| line.trim_start().starts_with(word));
        let all: Vec<&str> = self.output.lines().filter(telling).collect();
        all.iter().skip(all.len().saturating_sub(lines)).copied().collect::<Vec<_>>().join("\n")
    }
}

/// Runs with stdout and stderr kept, as they came, in memory and in `log`. A
/// run of more than twenty seconds shows its newest line now and then.
pub(crate) fn watch(command: &mut Command, log: &Path) -> Result<Watched> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;

    let (lines, incoming) = mpsc::channel();
    forward(child.stdout.take(), &lines);
    forward(child.stderr.take(), &lines);
    drop(lines);

    let mut output = String::new();
    let mut newest = String::new();
    let mut spoke = Instant::now();
    let mut ended = false;
    loop {
        match incoming.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                output.push_str(&line);
                output.push('\n');
                if !line.trim().is_empty() {
                    newest = line;
                }
            }
            // A grandchild that outlives its parent may hold the pipes open.
            Err(RecvTimeoutError::Timeout) if ended => break,
            Err(RecvTimeoutError::Timeout) => ended = child.try_wait()?.is_some(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if spoke.elapsed() >= HEARTBEAT {
            ui::note(&format!("… {}", newest.trim().chars().take(100).collect::<String>()));
            spoke = Instant::now();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        let _ = writeln!(output, "{} ended with {status}", shown(command));
    }
    paths::write(log, &output)?;
    Ok(Watched { ok: status.success(), output })
}

fn forward(stream: Option<impl Read + Send + 'static>, lines: &Sender<String>) {
    let Some(stream) = stream else { return };
    let lines = lines.clone();
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if lines.send(text).is_err() {
                break;
            }
        }
    });
}

fn demand(status: ExitStatus, command: &Command) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// The command line as a user would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in command.get_args() {
        let _ = write!(text, " {}", paths::shown(Path::new(arg)));
    }
    text
}
