//! The least a durable SMTP relay can do: takes a message, appends it to a log, syncs once for all that waits, answers,
//! and passes it on over a few pipelined connections. No queue, no retry, no record of what came of it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc as channel, oneshot};

use crate::Fault;

/// Connections to the relay behind.
const OUTWARD: usize = 4;
/// Messages written at once on one of them.
const AT_ONCE: usize = 32;

/// A message on its way into the log, and who waits for it to be durable.
type Append = (Vec<u8>, oneshot::Sender<Vec<u8>>);

/// Serves until it is killed; prints `smtp ADDRESS` first.
pub async fn serve(log: &Path, relay: SocketAddr) -> Result<(), Fault> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("smtp {}", listener.local_addr()?);
    let (append, appends) = mpsc::channel::<Append>();
    let mut file = OpenOptions::new().create(true).append(true).open(log)?;
    std::thread::spawn(move || write_log(&mut file, &appends));
    let mut outward = Vec::new();
    for _ in 0..OUTWARD {
        let (sender, messages) = channel::unbounded_channel();
        outward.push(sender);
        spawn(pass_on(relay, messages));
    }
    for turn in 0_usize.. {
        let (stream, _) = listener.accept().await?;
        spawn(session(stream, append.clone(), outward[turn % OUTWARD].clone()));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "no product: nothing here is drained or supervised")]
fn spawn(task: impl Future<Output = Result<(), Fault>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(fault) = task.await {
            eprintln!("ceiling: {fault}");
        }
    });
}

/// Everything that waits goes out in one write and one sync.
fn write_log(file: &mut std::fs::File, appends: &mpsc::Receiver<Append>) {
    let mut bytes = Vec::with_capacity(1 << 20);
    while let Ok(first) = appends.recv() {
        bytes.clear();
        let mut group = vec![first];
        group.extend(appends.try_iter());
        for (message, _) in &group {
            bytes.extend_from_slice(message);
        }
        if let Err(fault) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            eprintln!("ceiling: {fault}");
            return;
        }
        for (message, durable) in group {
            // A caller that went away needs no answer.
            let _ = durable.send(message);
        }
    }
}

async fn session(
    mut stream: TcpStream,
    append: mpsc::Sender<Append>,
    outward: channel::UnboundedSender<Vec<u8>>,
) -> Result<(), Fault> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 ceiling\r\n").await?;
    let mut input = Vec::with_capacity(16 * 1024);
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut replies = Vec::new();
        while let Some(end) = memmem::find(&input, b"\r\n") {
            let line: Vec<u8> = input.drain(..end + 2).collect();
            match line.get(..4) {
                Some(b"EHLO") => replies.extend_from_slice(b"250-ceiling\r\n250 PIPELINING\r\n"),
                Some(b"DATA") => {
                    replies.extend_from_slice(b"354 go on\r\n");
                    stream.write_all(&std::mem::take(&mut replies)).await?;
                    let content = content(&mut stream, &mut input).await?;
                    let (durable, is_durable) = oneshot::channel();
                    append.send((content, durable)).map_err(|_| "the log is closed")?;
                    let content = is_durable.await?;
                    replies.extend_from_slice(b"250 durable\r\n");
                    outward.send(content).map_err(|_| "the relay is gone")?;
                }
                _ => replies.extend_from_slice(b"250 ok\r\n"),
            }
        }
        if !replies.is_empty() {
            stream.write_all(&replies).await?;
        }
    }
}

/// The content up to its final dot.
async fn content(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<Vec<u8>, Fault> {
    loop {
        if let Some(end) = memmem::find(input, b"\r\n.\r\n") {
            return Ok(input.drain(..end + 5).collect());
        }
        if stream.read_buf(input).await? == 0 {
            return Err("closed within a message".into());
        }
    }
}

/// Sends what comes, many messages in one write (CHUNKING, RFC 3030), and reads the replies.
async fn pass_on(relay: SocketAddr, mut messages: channel::UnboundedReceiver<Vec<u8>>) -> Result<(), Fault> {
    let mut stream = TcpStream::connect(relay).await?;
    stream.set_nodelay(true)?;
    let mut replies = Vec::with_capacity(16 * 1024);
    read_replies(&mut stream, &mut replies, 1).await?;
    stream.write_all(b"EHLO ceiling\r\n").await?;
    read_replies(&mut stream, &mut replies, 1).await?;
    let mut group = Vec::new();
    while messages.recv_many(&mut group, AT_ONCE).await > 0 {
        let mut bytes = Vec::with_capacity(group.len() * 4096);
        for message in &group {
            let content = message.strip_suffix(b".\r\n").unwrap_or(message);
            bytes.extend_from_slice(b"MAIL FROM:<noreply@example.com>\r\nRCPT TO:<customer@example.org>\r\n");
            bytes.extend_from_slice(format!("BDAT {} LAST\r\n", content.len()).as_bytes());
            bytes.extend_from_slice(content);
        }
        stream.write_all(&bytes).await?;
        read_replies(&mut stream, &mut replies, 3 * group.len()).await?;
        group.clear();
    }
    Ok(())
}

async fn read_replies(stream: &mut TcpStream, replies: &mut Vec<u8>, count: usize) -> Result<(), Fault> {
    replies.clear();
    loop {
        let lines = replies.split_inclusive(|byte| *byte == b'\n');
        let finals = lines.filter(|line| line.ends_with(b"\n") && line.get(3) == Some(&b' '));
        if finals.count() >= count {
            return Ok(());
        }
        if stream.read_buf(replies).await? == 0 {
            return Err("the relay closed".into());
        }
    }
}
