//! `farthing-hub`: see `farthing-hub --help` and README.md.

use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match farthing_hub::cli::run(farthing_hub::cli::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farthing-hub: {error:#}");
            ExitCode::FAILURE
        }
    }
}
