//! Lists of what a client would take, each range with its rank (RFC 9110, section 12.4.2).

use http::{HeaderMap, HeaderName};

/// The ranges that the lines of a header list, each with its rank in thousandths.
pub fn ranked(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (&str, u32)> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().unwrap_or_default();
        let rank = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        (named, rank.map_or(1_000, thousandths))
    })
}

/// A quality value from 0 to 1 as thousandths; what is none counts as 0.
fn thousandths(text: &str) -> u32 {
    match text.parse::<f32>() {
        Ok(rank) if (0.0..=1.0).contains(&rank) => (rank * 1_000.0).round() as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::ACCEPT;

    #[test]
    fn ranges_come_with_their_ranks() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, "text/html; level=1;q=0.5, text/*;Q=0".parse().unwrap());
        headers.append(ACCEPT, "*/*;q=2".parse().unwrap());
        headers.append(ACCEPT, "application/json".parse().unwrap());
        let read: Vec<_> = ranked(&headers, ACCEPT).collect();
        assert_eq!(read, [("text/html", 500), ("text/*", 0), ("*/*", 0), ("application/json", 1_000)]);
        assert_eq!(ranked(&HeaderMap::new(), ACCEPT).next(), None);
    }
}
