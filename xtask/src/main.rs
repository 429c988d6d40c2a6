//! Every chore of this repository, in Rust: `cargo xtask <command>`.
//!
//! A command first makes sure that its tools are there (see [`tools`]), says
//! what it installs and why, and never asks a question.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod contracts;
mod demo;
mod docs;
mod manifest;
mod paths;
mod pkg;
mod process;
mod stage;
mod test;
mod tools;
mod ui;
mod vectors;
mod wasm;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Farthing's chores")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the narrated demo: a chain, a hub, two clients, real payments
    Demo(demo::Args),
    /// Run every test; the last line is `N passed, N failed`
    Test(test::Args),
    /// Measure against peers and write target/bench.json
    Bench(bench::Args),
    /// Build the npm package into pkg/ and target/npm/
    Pkg,
    /// Pack the hub's program as npm packages in target/npm/
    HubPackage(pkg::hub::Args),
    /// Build the contracts and write target/contracts/*.json
    Contracts,
    /// Build the documentation into target/docs/
    Docs,
    /// Write the golden vectors to vectors/
    Vectors(vectors::Args),
    /// Install what the other commands need, and nothing else
    Tools,
}

fn main() -> ExitCode {
    let outcome = Cli::parse().command.run();
    outcome.unwrap_or_else(|error| {
        ui::error(&error);
        ExitCode::FAILURE
    })
}

impl Command {
    fn run(self) -> Result<ExitCode> {
        match self {
            Self::Demo(args) => return demo::run(&args),
            Self::Test(args) => return test::run(&args),
            Self::Bench(args) => bench::run(&args)?,
            Self::Pkg => drop(pkg::build()?),
            Self::HubPackage(args) => pkg::hub::run(&args)?,
            Self::Contracts => contracts::build()?,
            Self::Docs => docs::run()?,
            Self::Vectors(args) => vectors::run(&args)?,
            Self::Tools => tools::ensure_all()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
