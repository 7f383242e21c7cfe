//! The fast sink as a process of its own, for measurements.
//!
//! Prints `smtp 127.0.0.1:PORT` and `control 127.0.0.1:PORT`, takes mail until SIGTERM or SIGINT, then writes its
//! summary as JSON to `--summary FILE` (else to stdout) and the arrival times to `--stamps FILE`.

use posthaste_smtp_sink::sink::{Sink, SinkOptions, serve_control};
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: smtp-sink [--listen 127.0.0.1:0] [--control 127.0.0.1:0] [--summary FILE] [--stamps FILE]
    [--delay-ms N] [--size BYTES] [--no-pipelining] [--no-8bitmime] [--no-smtputf8] [--no-chunking] [--no-size]";

struct Arguments {
    listen: SocketAddr,
    control: SocketAddr,
    summary: Option<PathBuf>,
    stamps: Option<PathBuf>,
    options: SinkOptions,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut arguments = Arguments {
        listen: anywhere,
        control: anywhere,
        summary: None,
        stamps: None,
        options: SinkOptions::default(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        let options = &mut arguments.options;
        match word.as_str() {
            "--listen" => arguments.listen = value()?.parse()?,
            "--control" => arguments.control = value()?.parse()?,
            "--summary" => arguments.summary = Some(value()?.into()),
            "--stamps" => {
                arguments.stamps = Some(value()?.into());
                options.keep_stamps = true;
            }
            "--delay-ms" => options.delay = Duration::from_millis(value()?.parse()?),
            "--size" => options.size = Some(value()?.parse()?),
            "--no-size" => options.size = None,
            "--no-pipelining" => options.pipelining = false,
            "--no-8bitmime" => options.eight_bit_mime = false,
            "--no-smtputf8" => options.smtputf8 = false,
            "--no-chunking" => options.chunking = false,
            _ => return Err(format!("unknown argument {word}\n{USAGE}").into()),
        }
    }
    Ok(arguments)
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let sink = Sink::start(arguments.listen, arguments.options).await?;
    let control = TcpListener::bind(arguments.control).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "smtp {}\ncontrol {}", sink.address(), control.local_addr()?)?;
    stdout.flush()?;
    tokio::select! {
        () = serve_control(control, sink.tally().clone()) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let summary = format!("{}\n", sink.tally().summary());
    match arguments.summary {
        Some(file) => std::fs::write(file, summary)?,
        None => stdout.write_all(summary.as_bytes())?,
    }
    if let Some(file) = arguments.stamps {
        std::fs::write(file, sink.tally().stamps())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let result = parse(std::env::args().skip(1)).and_then(|arguments| {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(arguments))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // stderr may be closed; there is nobody else to tell.
            let _ = writeln!(std::io::stderr(), "smtp-sink: {error}");
            ExitCode::FAILURE
        }
    }
}
