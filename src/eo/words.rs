//! The words of reports, in both languages; and the four statuses by which organizers see their mail.

use posthaste_model::user::Language;
use posthaste_model::{FailureCode, Status};
use posthaste_store::EoDeliveryRecord;

/// A status as reports show it (00-overview, "How each surface shows it").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EoStatus {
    /// Written down, waiting for a worker.
    Pending,
    /// A worker has it.
    Processing,
    /// It is out.
    Sent,
    /// It is not, and will not be.
    Failed,
}

impl EoStatus {
    /// All of them, in the order of a delivery's life.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Sent, Self::Failed];

    /// The word in data and in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// The status of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// How an email's status is shown.
    pub const fn of(status: Status) -> Self {
        match status {
            Status::Scheduled | Status::Queued => Self::Pending,
            Status::Processing => Self::Processing,
            Status::Sent | Status::Delivered | Status::Complained => Self::Sent,
            Status::Bounced | Status::Failed | Status::Cancelled => Self::Failed,
        }
    }

    /// How a delivery is shown; one whose email is not written yet waits.
    pub fn of_record(record: &EoDeliveryRecord) -> Self {
        record.outcome.as_ref().map_or(Self::Pending, |outcome| Self::of(outcome.status))
    }

    /// The statuses of emails that are shown so.
    pub fn statuses(self) -> Vec<Status> {
        Status::ALL.iter().copied().filter(|status| Self::of(*status) == self).collect()
    }
}

/// A code in the five words of reports: the Emails API alone knows of suppression.
pub(super) const fn shown_code(code: FailureCode) -> FailureCode {
    match code {
        FailureCode::Suppressed => FailureCode::Bounce,
        other => other,
    }
}

/// Code and message of a failed delivery, such that a person can act on it; `None` while it has not failed.
pub fn failure(record: &EoDeliveryRecord) -> Option<(FailureCode, String)> {
    let outcome = record.outcome.as_ref()?;
    if EoStatus::of(outcome.status) != EoStatus::Failed {
        return None;
    }
    let told = outcome.failure.as_ref();
    let code = match (outcome.status, told) {
        (Status::Bounced, _) => FailureCode::Bounce,
        (Status::Cancelled, _) | (_, None) => FailureCode::Unknown,
        (_, Some((code, _))) => shown_code(*code),
    };
    let message = told.map(|(_, message)| message.clone()).filter(|message| !message.is_empty());
    let message = message.or_else(|| outcome.error.clone()).unwrap_or_else(|| match outcome.status {
        Status::Cancelled => "The email was cancelled before it went out".into(),
        Status::Bounced => "The recipient's server returned the email".into(),
        _ => "The reason is not known".into(),
    });
    Some((code, message))
}

/// The words of a report.
pub(super) struct ReportWords {
    /// What stands at the top.
    pub title: &'static str,
    /// "Period".
    pub period: &'static str,
    /// A period without limits.
    pub all_time: &'static str,
    /// Between two days.
    pub to: &'static str,
    /// "Status".
    pub status: &'static str,
    /// "Emails".
    pub emails: &'static str,
    /// "Total".
    pub total: &'static str,
    /// "Delivery rate".
    pub rate: &'static str,
    /// "Emails per day".
    pub per_day: &'static str,
    /// What the colours of the chart mean.
    pub legend: &'static str,
    /// "Failures".
    pub failures: &'static str,
    /// "Recipient".
    pub recipient: &'static str,
    /// "Reason".
    pub reason: &'static str,
    /// When there is no failure.
    pub no_failures: &'static str,
    /// When there is nothing at all.
    pub nothing: &'static str,
    /// What leads to the page.
    pub open: &'static str,
    /// That the rows are attached.
    pub attached: &'static str,
    /// That there were more than are shown.
    pub more: &'static str,
    /// That there were more than fit into the file.
    pub cut: &'static str,
    /// A notice's subject.
    pub notice_subject: &'static str,
    /// What a notice says.
    pub notice: &'static str,
    statuses: [&'static str; 9],
}

impl ReportWords {
    /// The words of a language.
    pub const fn of(language: Language) -> &'static Self {
        match language {
            Language::Id => &INDONESIAN,
            Language::En => &ENGLISH,
        }
    }

    /// A status of an email.
    pub fn status_word(&self, status: Status) -> &'static str {
        let place = Status::ALL.iter().position(|known| *known == status);
        place.and_then(|place| self.statuses.get(place)).copied().unwrap_or_default()
    }
}

const INDONESIAN: ReportWords = ReportWords {
    title: "Laporan email event",
    period: "Periode",
    all_time: "semua waktu",
    to: "sampai",
    status: "Status",
    emails: "Email",
    total: "Total",
    rate: "Tingkat pengiriman",
    per_day: "Email per hari",
    legend: "Hijau: terkirim. Merah: gagal. Abu-abu: lainnya.",
    failures: "Kegagalan",
    recipient: "Penerima",
    reason: "Alasan",
    no_failures: "Tidak ada kegagalan.",
    nothing: "Belum ada email untuk event ini.",
    open: "Buka halaman laporan",
    attached: "Semua baris ada di lampiran CSV.",
    more: "Kegagalan lainnya ada di lampiran CSV.",
    cut: "Jumlah email terlalu banyak; laporan ini memuat yang terbaru saja.",
    notice_subject: "Laporan email perlu perhatian",
    notice: "Laporan berikut belum terkirim setelah beberapa menit. Periksa alamatnya dan kirim ulang dari halaman laporan.",
    statuses: [
        "Terjadwal",
        "Menunggu",
        "Diproses",
        "Terkirim",
        "Diterima",
        "Dikembalikan",
        "Dikeluhkan",
        "Gagal",
        "Dibatalkan",
    ],
};

const ENGLISH: ReportWords = ReportWords {
    title: "Event email report",
    period: "Period",
    all_time: "all time",
    to: "to",
    status: "Status",
    emails: "Emails",
    total: "Total",
    rate: "Delivery rate",
    per_day: "Emails per day",
    legend: "Green: sent. Red: failed. Grey: others.",
    failures: "Failures",
    recipient: "Recipient",
    reason: "Reason",
    no_failures: "There are no failures.",
    nothing: "There are no emails for this event yet.",
    open: "Open the report page",
    attached: "All rows are in the attached CSV file.",
    more: "Further failures are in the attached CSV file.",
    cut: "There are too many emails; this report holds the newest only.",
    notice_subject: "An email report needs attention",
    notice: "The following report is not out after some minutes. Check its address and send it again from the report page.",
    statuses: [
        "Scheduled",
        "Queued",
        "Processing",
        "Sent",
        "Delivered",
        "Bounced",
        "Complained",
        "Failed",
        "Cancelled",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_shown_once() {
        let shown: usize = EoStatus::ALL.iter().map(|status| status.statuses().len()).sum();
        assert_eq!(shown, Status::ALL.len());
        for status in EoStatus::ALL {
            assert_eq!(EoStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(EoStatus::parse("delivered"), None);
    }

    #[test]
    fn an_address_on_the_list_counts_as_returned() {
        assert_eq!(shown_code(FailureCode::Suppressed), FailureCode::Bounce);
        assert_eq!(shown_code(FailureCode::InvalidEmail), FailureCode::InvalidEmail);
    }

    #[test]
    fn every_status_has_its_word() {
        for language in Language::ALL {
            let words = ReportWords::of(*language);
            let said: Vec<&str> = Status::ALL.iter().map(|status| words.status_word(*status)).collect();
            assert!(said.iter().all(|word| !word.is_empty()), "{said:?}");
        }
        assert_eq!(ReportWords::of(Language::En).status_word(Status::Bounced), "Bounced");
    }
}
