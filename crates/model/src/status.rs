//! What an email and each of its recipients can be, and which change may follow which.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in code, tables, answers and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of a word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_str(self.as_str()) }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let word = std::borrow::Cow::<'de, str>::deserialize(d)?;
                Self::parse(&word).ok_or_else(|| serde::de::Error::custom(concat!("unknown ", stringify!($name))))
            }
        }
    };
}
pub(crate) use words;

words!(
    /// Status of an email.
    Status {
        /// Waits for its `send_at`.
        Scheduled = "scheduled",
        /// Due, or waiting for the next attempt.
        Queued = "queued",
        /// A worker holds it under a lease.
        Processing = "processing",
        /// A transport accepted it for at least one recipient.
        Sent = "sent",
        /// News from the provider: it arrived.
        Delivered = "delivered",
        /// News from the provider: it came back.
        Bounced = "bounced",
        /// News from the provider: the recipient complained.
        Complained = "complained",
        /// Refused for good, or the attempts are used up.
        Failed = "failed",
        /// Taken back before it went out.
        Cancelled = "cancelled",
    }
);

impl Status {
    /// Whether `next` may follow this status. A later, better-informed event wins, an older one never undoes it.
    pub const fn may_become(self, next: Self) -> bool {
        use Status::{
            Bounced, Cancelled, Complained, Delivered, Failed, Processing, Queued, Scheduled, Sent,
        };
        match self {
            Scheduled => matches!(next, Queued | Processing | Cancelled | Failed),
            Queued => matches!(next, Processing | Cancelled | Failed | Sent),
            Processing => matches!(next, Queued | Sent | Failed),
            // Recipients left over are tried again while the email as a whole is already `sent`.
            Sent => matches!(next, Delivered | Bounced | Complained | Failed),
            Delivered => matches!(next, Complained | Bounced),
            Bounced => matches!(next, Complained),
            Complained | Failed | Cancelled => false,
        }
    }

    /// Whether `?wait=` and `wait` calls are over: sent or later, failed or cancelled.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Status::Scheduled | Status::Queued | Status::Processing)
    }

    /// Whether a client may still take the email back.
    pub const fn is_cancellable(self) -> bool {
        matches!(self, Status::Scheduled | Status::Queued)
    }
}

words!(
    /// Status of one recipient of an email.
    RecipientStatus {
        /// Still to be tried.
        Queued = "queued",
        /// Waits for a person: the peer may have taken it without saying so.
        Held = "held",
        /// A transport accepted it.
        Sent = "sent",
        /// It arrived.
        Delivered = "delivered",
        /// It came back.
        Bounced = "bounced",
        /// The recipient complained.
        Complained = "complained",
        /// Refused for good, suppressed, or the attempts are used up.
        Failed = "failed",
        /// Taken back.
        Cancelled = "cancelled",
    }
);

impl RecipientStatus {
    /// Whether nothing final is known: it is still to be tried, or waits for a person.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Held)
    }
}

words!(
    /// Why an email or a recipient failed.
    FailureCode {
        /// The address does not exist or cannot be reached as written.
        InvalidEmail = "invalid_email",
        /// No connection, TLS failure, loss of the connection.
        TransportError = "transport_error",
        /// The peer, or our account with it, had trouble.
        ServerError = "server_error",
        /// The receiving side refused or returned it.
        Bounce = "bounce",
        /// Nobody can tell.
        Unknown = "unknown",
        /// The address is on the client's suppression list.
        Suppressed = "suppressed",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_only_along_the_arrows() {
        assert!(Status::Queued.may_become(Status::Processing));
        assert!(Status::Processing.may_become(Status::Queued));
        assert!(!Status::Delivered.may_become(Status::Sent), "an older event never undoes a newer one");
        assert!(Status::Delivered.may_become(Status::Complained));
        for &end in &[Status::Failed, Status::Cancelled, Status::Complained] {
            assert!(Status::ALL.iter().all(|&next| !end.may_become(next)), "{end} is an end");
        }
        assert!(!Status::Processing.may_become(Status::Cancelled), "a claim beats a cancel");
    }

    #[test]
    fn words_read_back() {
        for &status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("Sent"), None);
    }
}
