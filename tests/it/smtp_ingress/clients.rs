//! Real clients: Python's smtplib, swaks and nodemailer, in clear and by TLS.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::address_of;
use crate::harness::{Server, ServerOptions};

/// A server with a certificate for localhost, on both listeners, asking everybody for a login.
fn server_with_tls(directory: &Path) -> Server {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&cert, made.cert.pem()).expect("a file");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    Server::start(
        ServerOptions::default()
            .env("POSTHASTE_SMTP__TLS_CERT", &cert)
            .env("POSTHASTE_SMTP__TLS_KEY", &key)
            .env("POSTHASTE_SMTP__TLS_LISTEN", "127.0.0.1:0")
            .env("POSTHASTE_SMTP__AUTH_REQUIRED", "true"),
    )
}

fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|fault| panic!("{command:?}: {fault} (./test installs it)"))
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

fn total(server: &Server) -> u64 {
    server.get("/api/emails?count=true").expect(200).json()["total"].as_u64().expect("a number")
}

const SMTPLIB: &str = r"
import smtplib, ssl, sys, socket
from email.message import EmailMessage
port, tls_port, key, ca = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
message = EmailMessage()
message['From'], message['To'], message['Subject'] = 'Ann <ann@example.com>', 'bob@client.com', 'Gr\u00fc\u00dfe'
message.set_content('Hello\n.\n..dots\n' + 'long ' * 150)
message.add_attachment(b'\x00\x01' * 500, maintype='application', subtype='octet-stream', filename='a.bin')
with smtplib.SMTP('localhost', port) as s:
    s.ehlo(); assert s.has_extn('starttls') and s.has_extn('chunking'), s.esmtp_features
    s.starttls(context=context); s.ehlo(); assert not s.has_extn('starttls')
    code, text = s.docmd('STARTTLS'); assert code == 503, (code, text)
    code, text = s.docmd('MAIL FROM:<ann@example.com>'); assert code == 530, (code, text)
    s.login('default', key)
    assert s.send_message(message) == {}
    message.replace_header('To', 'j\u00f6rg@client.com')
    assert s.send_message(message) == {}
with smtplib.SMTP_SSL('localhost', tls_port, context=context) as s:
    s.login('default', key)
    s.sendmail('ann@example.com', ['bob@client.com'], b'From: ann@example.com\r\n\r\nx\r\n')
    try: s.sendmail('eve@evil.example', ['bob@client.com'], b'x'); assert False
    except smtplib.SMTPSenderRefused as e: assert e.smtp_code == 550, e
# Octets that came before TLS count for nothing after it.
s = socket.create_connection(('localhost', port)); f = s.makefile('rb'); f.readline()
def say(line):
    s.sendall(line)
    while f.readline()[3:4] == b'-': pass
say(b'EHLO x\r\n')
s.sendall(b'STARTTLS\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<evil@client.com>\r\n')
assert f.readline().startswith(b'220')
t = context.wrap_socket(s, server_hostname='localhost'); g = t.makefile('rb')
t.sendall(b'RCPT TO:<evil@client.com>\r\n'); r = g.readline(); assert r.startswith(b'503'), r
t.sendall(b'MAIL FROM:<ann@example.com>\r\n'); r = g.readline(); assert r.startswith(b'503'), r
print('fine')
";

#[test]
fn a38_smtplib_by_starttls_and_by_tls() {
    let directory = TempDir::new().expect("a directory");
    let server = server_with_tls(directory.path());
    let said = succeed(Command::new("python3").args(["-c", SMTPLIB]).args([
        address_of(&server, "smtp").port().to_string().as_str(),
        address_of(&server, "smtps").port().to_string().as_str(),
        server.key(),
        directory.path().join("cert.pem").to_str().expect("a path"),
    ]));
    assert!(said.ends_with("fine\n"), "{said}");
    assert_eq!(total(&server), 3);
}

#[test]
fn swaks_in_clear_and_by_tls() {
    let directory = TempDir::new().expect("a directory");
    let server = server_with_tls(directory.path());
    let swaks = |port: u16| {
        let mut command = Command::new("swaks");
        command.args(["--server", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--from", "ann@example.com", "--to", "bob@client.com,eve@client.com"]);
        command.args(["--auth-user", "default", "--auth-password", server.key(), "--hide-all"]);
        command
    };
    let (clear, tls) = (address_of(&server, "smtp").port(), address_of(&server, "smtps").port());
    succeed(swaks(clear).args(["--auth", "PLAIN"]));
    succeed(swaks(clear).args(["--auth", "LOGIN", "--tls"]));
    succeed(swaks(tls).args(["--auth", "PLAIN", "--tls-on-connect", "--pipeline"]));
    let refused = run(Command::new("swaks").args([
        "--server",
        "127.0.0.1",
        "--port",
        &clear.to_string(),
        "--to",
        "a@b.example",
    ]));
    assert!(!refused.status.success());
    assert_eq!(total(&server), 3);
}

const NODEMAILER: &str = r"
const nodemailer = require('nodemailer');
const [port, tlsPort, key] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const auth = { user: 'default', pass: key }, tls = { rejectUnauthorized: false };
(async () => {
  for (const options of [{ port, secure: false, requireTLS: true }, { port: tlsPort, secure: true, pool: true }]) {
    const transport = nodemailer.createTransport({ host: '127.0.0.1', auth, tls, ...options });
    await transport.verify();
    for (let n = 0; n < 3; n++) {
      const info = await transport.sendMail({ from: 'Ann <ann@example.com>', to: 'bob@client.com', bcc: 'hidden@client.com',
        subject: 'Grüße', text: 'Hello\n.\n', html: '<p>Hello</p>', attachments: [{ filename: 'ä.txt', content: 'x' }],
        dsn: { id: 'a1', return: 'headers', notify: ['failure'], recipient: 'ann@example.com' } });
      if (!/^250 2\.0\.0 Ok: queued as [0-9a-f-]{36}$/.test(info.response)) throw new Error(info.response);
    }
    transport.close();
  }
})().catch((error) => { console.error(error); process.exit(1); });
";

#[test]
fn nodemailer_pooled_and_by_starttls() {
    let directory = TempDir::new().expect("a directory");
    let installed = Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "nodemailer@7"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output();
    if !installed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: nodemailer cannot be installed (no npm, or no registry)");
        return;
    }
    let server = server_with_tls(directory.path());
    fs::write(directory.path().join("send.js"), NODEMAILER).expect("a file");
    succeed(Command::new("node").current_dir(directory.path()).args([
        "send.js",
        &address_of(&server, "smtp").port().to_string(),
        &address_of(&server, "smtps").port().to_string(),
        server.key(),
    ]));
    assert_eq!(total(&server), 6);
}
