//! Finds the parts of a message (RFC 2046) in one pass over its lines.
//!
//! Each line is compared with the boundaries that are open, of which there are at most [`MAX_DEPTH`]: that, and not
//! a search for each boundary in the rest of the message, keeps the time linear when end boundaries are missing.

use super::field::{self, MimeFields};
use super::{MAX_DEPTH, MAX_PARTS};
use memchr::memchr;
use std::ops::Range;

/// The parts of a message.
pub(super) struct Structure {
    /// Parents before their children; the first is the message itself.
    pub(super) parts: Vec<Part>,
    /// A limit was reached.
    pub(super) is_cut: bool,
}

/// One part.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) depth: usize,
    pub(super) header: Range<usize>,
    pub(super) body: Range<usize>,
    pub(super) mime: MimeFields,
    /// Its body is made of parts.
    pub(super) is_multipart: bool,
    /// Its body is a message, read as its only child.
    pub(super) has_message: bool,
    /// It belongs to a message within the message.
    pub(super) in_message: bool,
}

/// A multipart that is being read.
struct Level {
    boundary: Vec<u8>,
    /// How many parts are open when its children are closed.
    open: usize,
}

struct Scan<'a> {
    raw: &'a [u8],
    parts: Vec<Part>,
    /// Indices of the parts that have not ended, from the message down.
    open: Vec<usize>,
    levels: Vec<Level>,
    in_header: bool,
    is_cut: bool,
}

/// Reads the structure of `raw`.
pub(super) fn read(raw: &[u8]) -> Structure {
    let mut scan = Scan {
        raw,
        parts: Vec::new(),
        open: Vec::new(),
        levels: Vec::new(),
        in_header: false,
        is_cut: false,
    };
    scan.begin_part(0);
    let mut at = 0;
    while at < raw.len() {
        let end = memchr(b'\n', &raw[at..]).map_or(raw.len(), |length| at + length + 1);
        if !scan.line(at, end) {
            scan.is_cut = true;
            break;
        }
        at = end;
    }
    if scan.in_header {
        scan.end_header(at, at);
    }
    scan.close(0, raw.len(), raw.len());
    Structure { parts: scan.parts, is_cut: scan.is_cut }
}

impl Scan<'_> {
    /// Takes the line at `at..end`; false when there is no room for another part.
    fn line(&mut self, at: usize, end: usize) -> bool {
        let line = &self.raw[at..end];
        if line.starts_with(b"--")
            && let Some((level, is_last)) = self.delimiter(&line[2..])
        {
            return self.boundary(level, is_last, at, end);
        }
        if self.in_header {
            if matches!(line, b"\n" | b"\r\n") {
                self.end_header(at, end);
            } else if !field::is_field_line(line) {
                // No empty line before the body: what is no field belongs to the body.
                self.end_header(at, at);
            }
        }
        true
    }

    /// Which open multipart the line (behind its `--`) delimits, and whether it ends it.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.trim_ascii_end();
        self.levels.iter().enumerate().rev().find_map(|(index, level)| {
            match line.strip_prefix(level.boundary.as_slice())? {
                b"" => Some((index, false)),
                b"--" => Some((index, true)),
                _ => None,
            }
        })
    }

    fn boundary(&mut self, level: usize, is_last: bool, at: usize, end: usize) -> bool {
        // RFC 2046, section 5.1.1: the line break before a delimiter belongs to it.
        let before = &self.raw[..at];
        let content_end = before
            .strip_suffix(b"\n")
            .map_or(at, |before| before.strip_suffix(b"\r").unwrap_or(before).len());
        self.close(self.levels[level].open, content_end, at);
        self.levels.truncate(if is_last { level } else { level + 1 });
        if is_last {
            return true;
        }
        if self.parts.len() >= MAX_PARTS {
            return false;
        }
        self.begin_part(end);
        true
    }

    fn begin_part(&mut self, at: usize) {
        let parent = self.open.last().map(|index| &self.parts[*index]);
        let in_message = parent.is_some_and(|parent| parent.in_message || parent.has_message);
        let part =
            Part { depth: self.open.len(), header: at..at, body: at..at, in_message, ..Part::default() };
        self.open.push(self.parts.len());
        self.parts.push(part);
        self.in_header = true;
    }

    /// The header of the innermost part ends at `header_end`, its body begins at `body_start`.
    fn end_header(&mut self, header_end: usize, body_start: usize) {
        self.in_header = false;
        let depth = self.open.len();
        let Some(&index) = self.open.last() else { return };
        let in_digest = depth > 1 && self.parts[self.open[depth - 2]].mime.essence == "multipart/digest";
        let part = &mut self.parts[index];
        part.header.end = header_end;
        part.body = body_start..body_start;
        let (mime, boundary) = field::read_mime(&self.raw[part.header.clone()], in_digest);
        part.mime = mime;
        let may_nest = depth < MAX_DEPTH && self.parts.len() < MAX_PARTS;
        let part = &mut self.parts[index];
        if part.mime.essence.starts_with("multipart/") {
            let Some(boundary) = boundary else { return };
            self.is_cut |= !may_nest;
            if may_nest {
                part.is_multipart = true;
                self.levels.push(Level { boundary, open: depth });
            }
        } else if part.mime.essence == "message/rfc822" && part.mime.encoding.is_identity() {
            self.is_cut |= !may_nest;
            if may_nest {
                part.has_message = true;
                self.begin_part(body_start);
            }
        }
    }

    /// Ends the parts that are open beyond the first `keep`: their bodies at `content_end`, a header that was
    /// still being read at `line`.
    fn close(&mut self, keep: usize, content_end: usize, line: usize) {
        if self.in_header && self.open.len() > keep {
            self.in_header = false;
            if let Some(&index) = self.open.last() {
                let part = &mut self.parts[index];
                part.header.end = line;
                part.body = line..line;
                part.mime = field::read_mime(&self.raw[part.header.clone()], false).0;
            }
        }
        for index in self.open.drain(keep.min(self.open.len())..) {
            let body = &mut self.parts[index].body;
            body.end = content_end.max(body.start);
        }
    }
}
