//! `posthaste queue start | stop | restart`: one worker beside the server, in the foreground or as a daemon.
//!
//! The worker holds a lock of the kernel's as long as it lives and leaves its process id in `run/queue.pid`: the id says
//! whom to signal, the lock whether that is still true, however the process ended.

use crate::app::{App, Roles, Seat, StartError, take_queue_worker};
use crate::cli::Place;
use crate::cli::failure::Failure;
use crate::cli::installation::block_on;
use crate::cli::output::Format;
use crate::cli::serve::serve;
use crate::config::DataDirectory;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What a worker does.
const ROLES: Roles = Roles { api: false, worker: true, smtp: false };
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long a daemon may take to say that it is alive.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long an end may take beyond the time that mail in flight is given.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Runs the worker here until a signal ends it.
pub(super) fn start(place: &Place, format: Format) -> Result<(), Failure> {
    let mut loaded = place.load()?;
    // Its probes must not be in the way of a server's on the same machine.
    loaded.settings.http.listen.set_port(0);
    let data = DataDirectory::prepare(&loaded.settings.data.dir).map_err(StartError::from)?;
    let files = Files::of(data.root());
    let seat = files.take()?.ok_or_else(|| files.running())?;
    let pid = std::process::id();
    fs::write(&files.pid, format!("{pid}\n"))
        .map_err(|error| Failure::io(format!("{} cannot be written", files.pid.display()), error))?;
    format.print(&started(pid), || {
        format!("The queue worker runs as process {pid}; end it with `posthaste queue stop`.")
    })?;
    let served = serve(loaded, ROLES, true);
    // Before the lock: whoever takes it next writes its own.
    let _ = fs::remove_file(&files.pid);
    drop(seat);
    served
}

/// Starts the worker in the background; returns when it is at work.
pub(super) fn start_daemon(place: &Place, format: Format) -> Result<(), Failure> {
    let data = place.load()?.settings.data.dir;
    let data = DataDirectory::prepare(&data).map_err(StartError::from)?;
    let files = Files::of(data.root());
    drop(files.take()?.ok_or_else(|| files.running())?);
    let mut child = files.spawn(place)?;
    let pid = child.id();
    place.with_app(async |app| files.is_at_work(app, &mut child).await)?;
    format.print(&started(pid), || format!("The queue worker runs in the background as process {pid}."))
}

/// Ends the worker and waits for it; says so when there is none.
pub(super) fn stop(place: &Place, format: Format) -> Result<(), Failure> {
    let ended = end(place)?;
    let shape = json!({"stopped": ended.is_some(), "pid": ended});
    format.print(&shape, || match ended {
        Some(pid) => format!("The queue worker, process {pid}, has ended."),
        None => "No queue worker was running here.".to_owned(),
    })
}

/// Ends the worker, if there is one, and starts another.
pub(super) fn restart(place: &Place, format: Format, daemon: bool) -> Result<(), Failure> {
    end(place)?;
    if daemon { start_daemon(place, format) } else { start(place, format) }
}

fn started(pid: u32) -> Value {
    json!({"started": true, "pid": pid})
}

/// Asks the worker to end and waits until it has: what is in flight is finished or handed back first.
fn end(place: &Place) -> Result<Option<u32>, Failure> {
    let settings = place.load()?.settings;
    let files = Files::of(&settings.data.dir);
    if !files.run.is_dir() {
        return Ok(None);
    }
    let patience = settings.delivery.drain + END_PATIENCE;
    block_on(async {
        let deadline = Instant::now() + patience;
        let mut asked = None;
        // Looked at again and again: a worker that has just begun writes its id in a moment.
        while files.take()?.is_none() {
            match (asked, files.pid()) {
                (None, Some(pid)) => {
                    signal(pid)?;
                    asked = Some(pid);
                }
                _ if Instant::now() >= deadline => {
                    let seconds = patience.as_secs();
                    return Err(Failure::Said(format!("the queue worker did not end within {seconds} s")));
                }
                _ => {}
            }
            sleep(LOOK).await;
        }
        Ok(asked)
    })
}

fn signal(pid: u32) -> Result<(), Failure> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(number) = number else { return Err(Failure::Said(format!("{pid} is no process id"))) };
    match kill_process(number, Signal::TERM) {
        // Ended in this very moment: as good.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Failure::io(format!("the process {pid} cannot be asked to end"), error.into())),
    }
}

/// Where the worker leaves its traces.
struct Files {
    run: PathBuf,
    pid: PathBuf,
    stderr: PathBuf,
}

impl Files {
    fn of(data: &Path) -> Self {
        let run = data.join("run");
        Self { pid: run.join("queue.pid"), stderr: run.join("queue.stderr"), run }
    }

    fn take(&self) -> Result<Option<Seat>, Failure> {
        Ok(take_queue_worker(&self.run)?)
    }

    fn pid(&self) -> Option<u32> {
        fs::read_to_string(&self.pid).ok()?.trim().parse().ok()
    }

    fn running(&self) -> Failure {
        let pid = self.pid().map(|pid| format!(" as process {pid}")).unwrap_or_default();
        Failure::Said(format!("the queue worker runs already{pid}; see `posthaste queue restart`"))
    }

    /// This program once more, out of the reach of this terminal's keys.
    fn spawn(&self, place: &Place) -> Result<Child, Failure> {
        let failed = |error| Failure::io("the queue worker cannot be started", error);
        let stderr =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&self.stderr);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        if let Some(config) = &place.config {
            command.arg("--config").arg(config);
        }
        if let Some(data_dir) = &place.data_dir {
            command.arg("--data-dir").arg(data_dir);
        }
        command.args(["queue", "start"]).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.map_err(failed)?);
        command.spawn().map_err(failed)
    }

    /// Waits until the store has heard of the new worker.
    async fn is_at_work(&self, app: &App, child: &mut Child) -> Result<(), Failure> {
        let deadline = Instant::now() + START_PATIENCE;
        let started_at = app.clock.now().minus(Duration::from_secs(1));
        loop {
            let ended = child.try_wait().map_err(|error| Failure::io("the queue worker is lost", error))?;
            if let Some(status) = ended {
                let said = fs::read_to_string(&self.stderr).unwrap_or_default();
                let last = said.lines().last().unwrap_or_default();
                return Err(Failure::Said(format!("the queue worker ended at once ({status}): {last}")));
            }
            let workers = app.store.workers(app.clock.now()).await?;
            if workers.iter().any(|(worker, _)| worker.pid == child.id() && worker.started_at >= started_at) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let seconds = START_PATIENCE.as_secs();
                return Err(Failure::Said(format!("the queue worker was not heard of within {seconds} s")));
            }
            sleep(LOOK).await;
        }
    }
}
