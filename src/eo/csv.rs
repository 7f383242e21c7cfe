//! The rows of a report as CSV (RFC 4180).

use super::figures::{Figures, failure_of, micros};

const HEAD: &str = "id,requested_at,to,subject,status,failure_code,failure_message,sent_at\r\n";

/// The report's rows, oldest first.
pub(super) fn write(figures: &Figures) -> String {
    let mut text = String::from(HEAD);
    for row in figures.rows.iter().rev() {
        let (code, message) = failure_of(row);
        let cells = [
            row.summary.id.to_string(),
            micros(row.summary.requested_at),
            row.summary.to.join(", "),
            row.summary.subject.clone(),
            row.summary.status.to_string(),
            code.map(|code| code.to_string()).unwrap_or_default(),
            message.unwrap_or_default().to_owned(),
            row.summary.sent_at.map(micros).unwrap_or_default(),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell. One that a spreadsheet would take for a formula gets an apostrophe first: subjects and replies come from
/// strangers.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_disarmed() {
        for (given, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"\nthere", "\"say \"\"hi\"\"\nthere\""),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(1,2)", "\"'@SUM(1,2)\""),
            ("", ""),
        ] {
            assert_eq!(quoted(given), written);
        }
    }
}
