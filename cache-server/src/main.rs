//! `cache-server`: fans the streams of its origins out to many viewers.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

fn main() -> ExitCode {
    let args = cache_server::cli::Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,relay=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cache-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: cache_server::cli::Args) -> anyhow::Result<()> {
    if let Some(cache_server::cli::Command::Cache(chore)) = args.command {
        return Ok(cache_server::chores::run(chore)?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(cache_server::relay::run(args));
    // What still reads a movie holds nothing that anybody would miss.
    runtime.shutdown_timeout(Duration::from_millis(500));
    Ok(result?)
}
