use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::{
    AuthenticatedMessage, DkimResult, MX, MessageAuthenticator, Parameters, RecordSet, ResolverCache, Txt,
};
use proptest::prelude::*;

use super::*;

/// DNS answers from memory, so that the verifier never waits.
struct Answers<K, V>(Mutex<HashMap<K, V>>);

impl<K: Hash + Eq, V: Clone> ResolverCache<K, V> for Answers<K, V> {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.lock().expect("not poisoned").get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.lock().expect("not poisoned").remove(name)
    }

    fn insert(&self, key: K, value: V, _: Instant) {
        self.0.lock().expect("not poisoned").insert(key, value);
    }
}

fn answers<K, V>() -> Answers<K, V> {
    Answers(Mutex::new(HashMap::new()))
}

/// What another implementation says about the signature on top of `message`.
fn verify(signer: &DkimSigner, message: &[u8]) -> Vec<DkimResult> {
    let txt: Answers<Box<str>, Txt> = answers();
    let record = signer.record_value().expect("record");
    let key = DomainKey::parse(record.as_bytes()).expect("record parses");
    txt.insert(format!("{}.", signer.record_name()).into(), Txt::DomainKey(Arc::new(key)), Instant::now());
    let mx: Answers<Box<str>, RecordSet<MX>> = answers();
    let ipv4: Answers<Box<str>, RecordSet<Ipv4Addr>> = answers();
    let ipv6: Answers<Box<str>, RecordSet<Ipv6Addr>> = answers();
    let ptr: Answers<IpAddr, RecordSet<Box<str>>> = answers();
    let parsed = AuthenticatedMessage::parse(message).expect("parses");
    let authenticator = MessageAuthenticator::new_cloudflare().expect("builds");
    let parameters = Parameters {
        params: &parsed,
        cache_txt: Some(&txt),
        cache_mx: Some(&mx),
        cache_ptr: Some(&ptr),
        cache_ipv4: Some(&ipv4),
        cache_ipv6: Some(&ipv6),
    };
    let mut future = pin!(authenticator.verify_dkim(parameters));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outputs) => outputs.iter().map(|output| output.result().clone()).collect(),
        Poll::Pending => panic!("the answer was not in memory"),
    }
}

fn signer(key: &[u8]) -> DkimSigner {
    DkimSigner::new(Domain::parse("example.com").expect("valid"), "ph1", key).expect("signer")
}

fn signed(signer: &DkimSigner, message: &[u8]) -> Vec<u8> {
    let mut out = signer.sign(message, 1_763_638_682).expect("signs").into_bytes();
    out.extend_from_slice(message);
    out
}

const MESSAGE: &[u8] = b"From: Ann <a@example.com>\r\nTo: b@c.com,\r\n  d@e.com\r\nSubject:  two  words \r\n\
    Date: Thu, 20 Nov 2025 11:38:02 +0000\r\nMessage-ID: <1@example.com>\r\nX-Other: x\r\n\
    MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
    List-Unsubscribe: <https://example.com/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
    \r\nHello  there \t \r\n\r\n  indented\tline\r\n\r\n\r\n";

#[test]
fn signatures_verify_elsewhere() {
    for key in [generate_rsa().expect("key"), generate_ed25519().expect("key")] {
        let signer = signer(&key);
        let message = signed(&signer, MESSAGE);
        assert_eq!(verify(&signer, &message), [DkimResult::Pass]);
        let header = signer.sign(MESSAGE, 5).expect("signs");
        assert_eq!(header, signer.sign(MESSAGE, 5).expect("signs"), "same time, same bytes");
        assert!(header.starts_with("DKIM-Signature: v=1; a=") && header.ends_with("\r\n"));
        assert!(header.lines().all(|line| line.len() <= 100 && line.is_ascii()), "{header}");
        assert!(header.contains("h=From:From:To:"));
    }
}

#[test]
fn a_changed_message_does_not_verify() {
    let signer = signer(&generate_ed25519().expect("key"));
    let text = String::from_utf8(signed(&signer, MESSAGE)).expect("ASCII");
    for (from, to) in [
        ("Hello", "Jello"),
        ("b@c.com", "x@c.com"),
        ("MIME-Version", "From: evil@x.com\r\nMIME-Version"),
        ("List-Unsubscribe: <https://example.com/u>", "List-Unsubscribe: <https://evil.com/u>"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        assert_ne!(verify(&signer, changed.as_bytes()), [DkimResult::Pass], "{from}");
    }
    let reflowed = text.replace("two  words", "two \t words").replace("there \t ", "there");
    assert_eq!(verify(&signer, reflowed.as_bytes()), [DkimResult::Pass], "relaxed");
}

#[test]
fn keys_are_read_in_every_form() {
    let pem = |label: &str, der: &[u8]| {
        let body = STANDARD.encode(der);
        let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        format!("comment\n-----BEGIN {label}-----\r\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    let rsa = generate_rsa().expect("key");
    // PKCS#1 is what the octet string of PKCS#8 holds: behind 26 octets of header at 2048 bits.
    let pkcs1 = &rsa[26..];
    let record = signer(&rsa).record_value().expect("record");
    assert!(record.starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"));
    for form in
        [pem("PRIVATE KEY", &rsa).into_bytes(), pem("RSA PRIVATE KEY", pkcs1).into_bytes(), pkcs1.to_vec()]
    {
        assert_eq!(signer(&form).record_value().expect("record"), record);
    }
    let ed25519 = generate_ed25519().expect("key");
    let record = signer(&ed25519).record_value().expect("record");
    assert!(record.starts_with("v=DKIM1; k=ed25519; p=") && record.len() == 22 + 44);
    assert_eq!(signer(pem("PRIVATE KEY", &ed25519).as_bytes()).record_value().expect("record"), record);
    assert_eq!(signer(&ed25519).record_name(), "ph1._domainkey.example.com");
    assert!(!format!("{:?}", signer(&ed25519)).contains("Key"));
}

#[test]
fn bad_keys_selectors_and_messages_are_refused() {
    let domain = Domain::parse("example.com").expect("valid");
    let key = generate_ed25519().expect("key");
    for bad in [
        &b""[..],
        b"x",
        b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----",
        b"-----BEGIN PRIVATE KEY-----\n",
        &key[..20],
    ] {
        assert_eq!(DkimSigner::new(domain.clone(), "s", bad).err(), Some(DkimError::Key));
    }
    for selector in ["", "a b", "a;b", "-a", "a.", "a\r\nb", "ü"] {
        assert_eq!(DkimSigner::new(domain.clone(), selector, &key).err(), Some(DkimError::Selector));
    }
    assert_eq!(signer(&key).sign(b"To: a@b.com\r\n\r\nx", 0), Err(DkimError::NoFrom));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_message_verifies(
        subject in "[ -~\\t]{0,60}",
        body in prop::collection::vec(prop_oneof![Just("\r\n"), Just(" "), Just("\t"), Just("a"), Just("bc"), Just(".")], 0..60),
    ) {
        let signer = signer(&generate_ed25519().expect("key"));
        // Blank lines at the end that are not empty are empty lines after RFC 6376, 3.4.4 (a);
        // the verifier used here keeps one, so the body ends with a character.
        let message = format!("From: a@example.com\r\nSubject: {subject}\r\n\r\n{}x\r\n\r\n", body.concat());
        prop_assert_eq!(verify(&signer, &signed(&signer, message.as_bytes())), [DkimResult::Pass], "{:?}", message);
    }

    #[test]
    fn signing_never_panics(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let signer = signer(&generate_ed25519().expect("key"));
        let mut with_from = b"From: a@b.com\r\n".to_vec();
        with_from.extend_from_slice(&message);
        prop_assert!(signer.sign(&with_from, 1).expect("signs").is_ascii());
        let _ = signer.sign(&message, i64::MIN);
    }
}
