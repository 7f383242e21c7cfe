//! What can be wrong with a broker, and how to mend it.

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

/// Why the broker cannot be used. No text in it holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerTrouble {
    /// Nobody answers there, or the conversation broke off.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// TLS cannot be agreed on, or its certificate is not trusted.
    #[error("no trusted TLS connection: {0}")]
    Tls(String),
    /// What listens there speaks something else.
    #[error("what listens there does not speak AMQP")]
    NotAmqp,
    /// It does not answer in time.
    #[error("it does not answer")]
    Silent,
    /// It does not take the name and password.
    #[error("it refuses the user or the password")]
    Login,
    /// There is no such virtual host, or it is not the user's.
    #[error("its virtual host cannot be used: {0}")]
    VirtualHost(String),
    /// The user may not do what is needed.
    #[error("the user lacks a permission: {0}")]
    Permission(String),
    /// A queue of the same name is of another making.
    #[error("a queue or exchange of that name is set up differently: {0}")]
    Topology(String),
    /// It takes nothing: its disk or memory alarm is on.
    #[error("it takes no messages now: its disk or memory alarm is on")]
    Blocked,
    /// It ended the connection, or a queue went away under its consumer.
    #[error("it broke off: {0}")]
    Closed(String),
    /// Anything else that it or the protocol said.
    #[error("{0}")]
    Other(String),
}

impl BrokerTrouble {
    /// What would mend it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Silent => {
                "start the broker, and look at host and port in AMQP_URL and at firewalls between"
            }
            Self::Tls(_) => {
                "write its name in AMQP_URL as the certificate has it, and name a private authority in SSL_CERT_FILE"
            }
            Self::NotAmqp => "look at the port in AMQP_URL; one that expects TLS needs amqps://",
            Self::Login => "look at user and password in AMQP_URL (rabbitmqctl authenticate_user)",
            Self::VirtualHost(_) => {
                "make the virtual host (rabbitmqctl add_vhost) and give the user permissions on it; in AMQP_URL \
                 write the default one as /%2f"
            }
            Self::Permission(_) => {
                "rabbitmqctl set_permissions: the user configures, writes and reads what begins with queue.prefix, \
                 and writes to the default exchange"
            }
            Self::Topology(_) => {
                "delete the queue or exchange that is named (mail is not in it), or choose another queue.prefix"
            }
            Self::Blocked => {
                "free disk or memory on the broker's machine (rabbitmqctl status names the alarm)"
            }
            Self::Closed(_) | Self::Other(_) => "look at the broker's log",
        }
    }

    /// What a failure while connecting means.
    pub(super) fn connecting(error: &Error) -> Self {
        match hard(error) {
            Some((AMQPHardError::NOTALLOWED, said)) => Self::VirtualHost(said),
            _ if is_refused(error) => Self::Login,
            _ => Self::of(error),
        }
    }

    /// What a failure on an open connection means.
    pub(super) fn of(error: &Error) -> Self {
        let said = error.to_string();
        match error.kind() {
            ErrorKind::IOError(cause) if is_of_tls(cause) => Self::Tls(cause.to_string()),
            ErrorKind::IOError(cause) => Self::Unreachable(cause.to_string()),
            ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) => Self::NotAmqp,
            ErrorKind::MissingHeartbeatError => Self::Silent,
            ErrorKind::ProtocolError(cause) => match cause.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Self::Topology(message(cause)),
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Self::Permission(message(cause)),
                AMQPErrorKind::Soft(_) => Self::Other(message(cause)),
                AMQPErrorKind::Hard(_) => Self::Closed(message(cause)),
            },
            ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => Self::Closed(said),
            _ => Self::Other(said),
        }
    }
}

fn is_of_tls(error: &std::io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

fn is_refused(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(cause)
        if matches!(cause.kind(), AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)))
}

fn hard(error: &Error) -> Option<(AMQPHardError, String)> {
    let ErrorKind::ProtocolError(cause) = error.kind() else { return None };
    match cause.kind() {
        AMQPErrorKind::Hard(kind) => Some((kind.clone(), message(cause))),
        AMQPErrorKind::Soft(_) => None,
    }
}

fn message(error: &lapin::protocol::AMQPError) -> String {
    error.get_message().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::protocol::AMQPError;

    fn protocol(id: u16, message: &str) -> Error {
        ErrorKind::ProtocolError(AMQPError::from_id(id, message.into()).expect("a known code")).into()
    }

    #[test]
    fn each_answer_of_a_broker_has_its_meaning() {
        let refused = protocol(403, "ACCESS_REFUSED - Login was refused");
        assert_eq!(BrokerTrouble::connecting(&refused), BrokerTrouble::Login);
        assert!(matches!(BrokerTrouble::of(&refused), BrokerTrouble::Permission(_)));
        let gone = protocol(530, "NOT_ALLOWED - vhost mail not found");
        assert!(
            matches!(BrokerTrouble::connecting(&gone), BrokerTrouble::VirtualHost(said) if said.contains("mail"))
        );
        let other = protocol(406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type'");
        assert!(
            matches!(BrokerTrouble::of(&other), BrokerTrouble::Topology(said) if said.contains("x-queue-type"))
        );
        let forced = protocol(320, "CONNECTION_FORCED - broker forced connection closure");
        assert!(matches!(BrokerTrouble::connecting(&forced), BrokerTrouble::Closed(_)));
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let untrusted = Error::from(std::io::Error::new(std::io::ErrorKind::InvalidData, untrusted));
        assert!(matches!(BrokerTrouble::connecting(&untrusted), BrokerTrouble::Tls(_)));
        let refused = Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert!(matches!(BrokerTrouble::connecting(&refused), BrokerTrouble::Unreachable(_)));
    }
}
