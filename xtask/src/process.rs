//! Starting other programs: never through a shell, never with our stdin.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{paths, ui};

/// How long a quiet run may stay without a sign of life on the screen.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// A run that says nothing for so long has hung: it is ended and has failed.
const SILENCE: Duration = Duration::from_secs(15 * 60);

/// How cargo's lines begin that tell of nothing but work.
const CHATTER: [&str; 6] = ["Checking ", "Compiling ", "Blocking ", "Downloading ", "Downloaded ", "Fresh "];

/// A command that starts in the repository's root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(paths::root()).stdin(Stdio::null());
    command
}

/// A command that lets others go first, where the system knows how.
pub(crate) fn gently(program: &Path) -> Command {
    match find("nice") {
        Some(nice) => {
            let mut command = command(nice);
            command.args(["-n", "19"]).arg(program);
            command
        }
        None => command(program),
    }
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
/// run of more than twenty seconds shows its newest line now and then; one
/// that is silent for a quarter of an hour is ended.
pub(crate) fn watch(command: &mut Command, log: &Path) -> Result<Watched> {
    watch_for(command, log, SILENCE)
}

fn watch_for(command: &mut Command, log: &Path, silence: Duration) -> Result<Watched> {
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
    let mut heard = Instant::now();
    let mut ended = false;
    let mut hung = false;
    loop {
        match incoming.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                heard = Instant::now();
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
        if heard.elapsed() >= silence {
            let _ = writeln!(output, "{} said nothing for {} s: ended", shown(command), silence.as_secs());
            end_tree(&mut child);
            hung = true;
            break;
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
    // A shell whose children were killed first may end by itself, and well.
    Ok(Watched { ok: status.success() && !hung, output })
}

/// Ends a program and, where `ps` tells of them, what it started: a group of its own would not hear the user's Ctrl-C.
fn end_tree(child: &mut Child) {
    let listed = probe_all(Command::new("ps").args(["-A", "-o", "pid=,ppid="]));
    let parents: Vec<(u32, u32)> = listed
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
            Some((numbers.next()?, numbers.next()?))
        })
        .collect();
    let mut tree = vec![child.id()];
    let mut started = Vec::new();
    while let Some(parent) = tree.pop() {
        let children = parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid);
        let known = started.len();
        started.extend(children);
        tree.extend(started.iter().skip(known));
    }
    for pid in &started {
        let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    }
    let _ = child.kill();
}

/// What it printed on stdout, nothing when it can't be started.
fn probe_all(command: &mut Command) -> String {
    command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn who_says_nothing_is_ended_with_what_it_started() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("farthing-silent-{}", std::process::id()));
        let mut silent = Command::new("sh");
        silent.args(["-c", "echo begun; sleep 1234 & echo $!; wait"]);
        let run = watch_for(&mut silent, &folder.join("log"), Duration::from_secs(1))?;
        std::fs::remove_dir_all(&folder)?;
        assert!(!run.ok);
        assert!(run.output.contains("said nothing for 1 s"), "{}", run.output);
        let pid = run.output.lines().nth(1).context("no pid")?;
        let lives = format!("{} ", pid.trim());
        assert!(
            !probe_all(Command::new("ps").args(["-A", "-o", "pid=,stat="]))
                .lines()
                .any(|line| { line.trim_start().starts_with(&lives) && !line.contains('Z') })
        );
        Ok(())
    }
}
