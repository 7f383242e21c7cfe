//! A message as others read it: Python's `email` package, which shares no code with ours.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

const READER: &str = r"
import sys, json, hashlib, base64
from email import policy, message_from_bytes
def part(p):
    body = p.get_payload(decode=True) if not p.is_multipart() else b''
    out = {'type': p.get_content_type(), 'disposition': p.get_content_disposition(), 'filename': p.get_filename(),
           'content_id': p['content-id'], 'sha256': hashlib.sha256(body).hexdigest(), 'size': len(body)}
    if p.get_content_maintype() == 'text': out['text'] = p.get_content().replace('\r\n', '\n')
    return out
def read(raw):
    m = message_from_bytes(raw, policy=policy.SMTPUTF8)
    def addresses(name):
        return [[a.display_name, a.addr_spec] for h in m.get_all(name, []) for a in h.addresses]
    return {
        'headers': [[k, str(v)] for k, v in m.items()], 'subject': str(m['subject']),
        'defects': [type(d).__name__ for part in m.walk() for d in part.defects],
        'from': addresses('from'), 'to': addresses('to'), 'cc': addresses('cc'), 'reply_to': addresses('reply-to'),
        'parts': [part(p) for p in m.walk()],
        'longest_line': max(len(l) for l in raw.split(b'\r\n')),
        'stray': raw.replace(b'\r\n', b'').count(b'\r') + raw.replace(b'\r\n', b'').count(b'\n'),
    }
json.dump([read(base64.b64decode(line)) for line in sys.stdin.buffer], sys.stdout)
";

/// What Python makes of a message: `headers`, `subject`, `from`, `to`, `cc`, `reply_to` (pairs of name and address),
/// `parts` (each `type`, `disposition`, `filename`, `content_id`, `sha256`, `size`, `text`), `defects`, `longest_line`,
/// `stray` (line ends that are not CRLF).
#[track_caller]
pub fn read_by_python(raw: &[u8]) -> Value {
    read_all_by_python(&[raw]).remove(0)
}

/// [`read_by_python`] for many messages in one process.
#[track_caller]
pub fn read_all_by_python(messages: &[&[u8]]) -> Vec<Value> {
    let mut child = Command::new("python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 (./test installs it)");
    let mut input = child.stdin.take().expect("piped");
    let lines: String = messages.iter().map(|raw| BASE64.encode(raw) + "\n").collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "Python cannot read one of {} messages", messages.len());
    writer.join().expect("no panic").expect("python3 reads");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The values of a header, as Python unfolds and decodes them.
pub fn header(read: &Value, name: &str) -> Vec<String> {
    let headers = read["headers"].as_array().expect("a list");
    let named =
        headers.iter().filter(|pair| pair[0].as_str().is_some_and(|key| key.eq_ignore_ascii_case(name)));
    named.map(|pair| pair[1].as_str().unwrap_or_default().to_owned()).collect()
}

/// The part of a media type.
#[track_caller]
pub fn part<'a>(read: &'a Value, media_type: &str) -> &'a Value {
    read["parts"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|part| part["type"] == media_type)
        .unwrap_or_else(|| panic!("no {media_type} part in {read:#}"))
}
