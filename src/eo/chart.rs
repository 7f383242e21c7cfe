//! The chart of a report: bars by day as a small PNG (ISO 15948), made here because mail programs show no SVG. Four
//! colours, two bits a pixel, without compression: about 20 KB.

use std::collections::BTreeMap;

const WIDTH: usize = 600;
const HEIGHT: usize = 160;
/// Space around the bars.
const MARGIN: usize = 8;
/// White, what arrived, what failed, what is on its way (and the ground line).
const PALETTE: [[u8; 3]; 4] = [[255, 255, 255], [11, 101, 86], [179, 38, 30], [173, 181, 189]];
/// Days shown at most: the newest.
const DAYS: usize = 90;

/// The picture of these days.
pub(super) fn draw(days: &BTreeMap<String, [u64; 3]>) -> Vec<u8> {
    let mut pixels = vec![0_u8; WIDTH * HEIGHT];
    let ground = HEIGHT - MARGIN;
    pixels[ground * WIDTH + MARGIN..ground * WIDTH + WIDTH - MARGIN].fill(3);
    let shown: Vec<&[u64; 3]> = days.values().skip(days.len().saturating_sub(DAYS)).collect();
    let most = shown.iter().map(|day| day.iter().sum::<u64>()).max().unwrap_or(0).max(1);
    let room = (ground - MARGIN) as u64;
    let slot = (WIDTH - 2 * MARGIN) / shown.len().max(1);
    let bar = (slot * 7 / 10).clamp(1, 48);
    for (index, day) in shown.iter().enumerate() {
        let left = MARGIN + index * slot + slot.saturating_sub(bar) / 2;
        let mut bottom = ground;
        for (column, amount) in day.iter().enumerate() {
            // What is there is seen: at least two lines for anything above nothing.
            let height = if *amount == 0 { 0 } else { ((amount * room / most) as usize).max(2) };
            let top = bottom.saturating_sub(height).max(MARGIN);
            for line in top..bottom {
                pixels[line * WIDTH + left..line * WIDTH + left + bar].fill(column as u8 + 1);
            }
            bottom = top;
        }
    }
    encode(&pixels)
}

fn encode(pixels: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(pixels.len() / 4 + HEIGHT);
    for line in pixels.chunks(WIDTH) {
        // No filter.
        raw.push(0);
        raw.extend(line.chunks(4).map(|four| four.iter().fold(0, |byte, pixel| byte << 2 | pixel)));
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::with_capacity(13);
    header.extend((WIDTH as u32).to_be_bytes());
    header.extend((HEIGHT as u32).to_be_bytes());
    // Two bits a pixel, by palette, deflate, the usual filters, not interlaced.
    header.extend([2, 3, 0, 0, 0]);
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"PLTE", &PALETTE.concat());
    chunk(&mut png, *b"IDAT", &zlib(&raw));
    chunk(&mut png, *b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    png.extend((content.len() as u32).to_be_bytes());
    let begin = png.len();
    png.extend(name);
    png.extend(content);
    let checksum = crc32fast::hash(&png[begin..]);
    png.extend(checksum.to_be_bytes());
}

/// Stored blocks (RFC 1951, section 3.2.4) in a zlib frame (RFC 1950).
fn zlib(raw: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = raw.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        out.extend((block.len() as u16).to_le_bytes());
        out.extend((!(block.len() as u16)).to_le_bytes());
        out.extend(block);
    }
    let (a, b) = raw.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend((b << 16 | a).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_any_days() {
        for count in [0_u64, 1, 31, 400] {
            let days = (0..count).map(|n| (format!("{n:05}"), [n, 1, u64::MAX / 100_000])).collect();
            let png = draw(&days);
            assert!(
                png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(b"IEND\xae\x42\x60\x82"),
                "{count}"
            );
            assert!(png.len() < 30_000, "{}", png.len());
        }
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert!(zlib(b"Wikipedia").ends_with(&0x11E6_0398_u32.to_be_bytes()));
    }
}
