//! What one round found, medians over rounds, and how they are printed.

use crate::system::System;

/// The figures of one round. Times in milliseconds unless named otherwise.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub accepted_per_s: f64,
    pub end_to_end_per_s: f64,
    pub cpu_s_per_1000: f64,
    pub accept_p50: f64,
    pub accept_p99: f64,
    pub single_p50: f64,
    pub single_p99: f64,
    pub idle_mib: f64,
    pub peak_mib: f64,
    pub written_kib_per_message: f64,
    /// Durable commits a message, where the system counts them.
    pub syncs_per_message: Option<f64>,
    pub lost: f64,
    pub duplicates: f64,
}

/// The value at a share (0 to 1) of sorted values.
pub fn percentile(sorted: &[u32], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
}

/// The value in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The median of each figure.
pub fn medians(rounds: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure).collect());
    let syncs: Vec<f64> = rounds.iter().filter_map(|round| round.syncs_per_message).collect();
    Figures {
        accepted_per_s: of(|f| f.accepted_per_s),
        end_to_end_per_s: of(|f| f.end_to_end_per_s),
        cpu_s_per_1000: of(|f| f.cpu_s_per_1000),
        accept_p50: of(|f| f.accept_p50),
        accept_p99: of(|f| f.accept_p99),
        single_p50: of(|f| f.single_p50),
        single_p99: of(|f| f.single_p99),
        idle_mib: of(|f| f.idle_mib),
        peak_mib: of(|f| f.peak_mib),
        written_kib_per_message: of(|f| f.written_kib_per_message),
        syncs_per_message: (!syncs.is_empty()).then(|| median(syncs)),
        // Losses and duplicates are not averaged away.
        lost: rounds.iter().map(|f| f.lost).sum(),
        duplicates: rounds.iter().map(|f| f.duplicates).sum(),
    }
}

/// The head of the table.
pub const HEAD: &str = "| system | accepted/s | end to end/s | CPU s per 1,000 | accept p50 / p99 ms | \
    single p50 / p99 ms | memory idle / peak MiB | KiB written a message | syncs a message | lost | doubled |\n\
    | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

/// A row of the table.
pub fn row(name: &str, f: &Figures) -> String {
    let syncs = f.syncs_per_message.map_or_else(|| "-".to_owned(), |syncs| format!("{syncs:.3}"));
    format!(
        "| {name} | {:.0} | {:.0} | {:.3} | {:.2} / {:.2} | {:.2} / {:.2} | {:.0} / {:.0} | {:.1} | {syncs} | {} | {} |",
        f.accepted_per_s,
        f.end_to_end_per_s,
        f.cpu_s_per_1000,
        f.accept_p50,
        f.accept_p99,
        f.single_p50,
        f.single_p99,
        f.idle_mib,
        f.peak_mib,
        f.written_kib_per_message,
        f.lost,
        f.duplicates,
    )
}

/// Posthaste, by HTTP and by SMTP, beside the others, and its doors beside the first of them.
pub fn ratios(all: &[(System, Figures)]) -> Vec<String> {
    let of = |wanted: System| all.iter().find(|(system, _)| *system == wanted).map(|(_, figures)| figures);
    let mut lines = Vec::new();
    for (door, ours) in
        [System::Posthaste, System::PosthasteSmtp].into_iter().filter_map(|door| Some((door, of(door)?)))
    {
        for (system, theirs) in all.iter().filter(|(system, _)| !system.is_ours()) {
            lines.push(format!(
                "{door:?} / {system:?}: accepted x {:.2}, end to end x {:.2}, CPU a message x {:.2}, single x {:.2}",
                ours.accepted_per_s / theirs.accepted_per_s,
                ours.end_to_end_per_s / theirs.end_to_end_per_s,
                ours.cpu_s_per_1000 / theirs.cpu_s_per_1000,
                ours.single_p50 / theirs.single_p50
            ));
        }
    }
    if let Some(first) = of(System::Posthaste) {
        for (system, other) in
            all.iter().filter(|(system, _)| system.is_ours() && *system != System::Posthaste)
        {
            let more = (other.cpu_s_per_1000 / first.cpu_s_per_1000 - 1.0) * 100.0;
            lines.push(format!("{system:?} over the Emails API: CPU a message {more:+.0} %"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle_and_losses_add_up() {
        let round = |accepted_per_s, lost| Figures { accepted_per_s, lost, ..Figures::default() };
        let all = medians(&[round(3.0, 0.0), round(1.0, 2.0), round(2.0, 1.0)]);
        assert!((all.accepted_per_s - 2.0).abs() < f64::EPSILON && (all.lost - 3.0).abs() < f64::EPSILON);
        assert!((percentile(&[1000, 2000, 3000], 0.5) - 2.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 0.5).abs() < f64::EPSILON);
    }
}
