//! `client`: see `client --help`.

use std::process::ExitCode;

use clap::Parser;
use client::cli::Args;
use client::{app, output};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = args.validate() {
        error.exit();
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match app::run(&args) {
        Ok(_) if output::is_lost() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            output::remark(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
