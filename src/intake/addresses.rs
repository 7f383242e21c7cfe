//! Reads and judges the addresses of a draft.

use super::limits::REPLY_TO;
use posthaste_model::draft::{Draft, DraftMailbox, Field};
use posthaste_model::email::{Recipient, RecipientKind};
use posthaste_model::refusal::{Fault, FaultCode};
use posthaste_model::{Address, AddressError, Mailbox};
use std::collections::HashSet;

/// Reads one address as given; the fault names `field`. One that was unreadable before has no fault to add: `Err(None)`.
pub(super) fn mailbox(given: &DraftMailbox, field: impl Fn() -> Field) -> Result<Mailbox, Option<Fault>> {
    let invalid =
        |error: AddressError| Fault::new(field(), FaultCode::InvalidEmail, format!("the address {error}"));
    match given {
        DraftMailbox::Unreadable => Err(None),
        DraftMailbox::Text(text) => Mailbox::parse(text).map_err(|error| Some(invalid(error))),
        DraftMailbox::Parts { email, name } => {
            let address = Address::parse(email).map_err(|error| Some(invalid(error)))?;
            Mailbox::new(name.as_deref(), address).map_err(|error| {
                let too_long = error == AddressError::NameTooLong;
                let code = if too_long { FaultCode::TooLong } else { FaultCode::ControlCharacter };
                Some(Fault::new(field(), code, format!("the address {error}")))
            })
        }
    }
}

/// All recipients in the order to, cc, bcc: each valid, none twice (or once for all), 1 to `most` of them.
pub(super) fn recipients(draft: &Draft, most: usize, faults: &mut Vec<Fault>) -> Vec<Recipient> {
    type Place = fn(Option<usize>) -> Field;
    let lists: [(RecipientKind, &[DraftMailbox], Place); 3] = [
        (RecipientKind::To, &draft.to, Field::To),
        (RecipientKind::Cc, &draft.cc, Field::Cc),
        (RecipientKind::Bcc, &draft.bcc, Field::Bcc),
    ];
    let count = draft.to.len() + draft.cc.len() + draft.bcc.len();
    if count == 0 {
        // A list that could not be read at all has its own fault already.
        if !draft
            .faults
            .iter()
            .any(|fault| matches!(fault.field, Field::To(_) | Field::Cc(_) | Field::Bcc(_)))
        {
            faults.push(Fault::new(
                Field::To(None),
                FaultCode::Required,
                "at least one recipient is required",
            ));
        }
        return Vec::new();
    }
    if count > most {
        let message = format!("at most {most} recipients over to, cc and bcc; there are {count}");
        faults.push(Fault::new(Field::To(None), FaultCode::TooManyRecipients, message));
        return Vec::new();
    }
    let mut seen = HashSet::with_capacity(count);
    let mut found = Vec::with_capacity(count);
    for (kind, list, place) in lists {
        for (index, given) in list.iter().enumerate() {
            match mailbox(given, || place(Some(index))) {
                // What a surface calls unreadable without a fault must not be left out in silence.
                Err(None) if draft.faults.is_empty() => {
                    faults.push(Fault::new(place(Some(index)), FaultCode::InvalidType, "cannot be read"));
                }
                Err(fault) => faults.extend(fault),
                Ok(mailbox) if !seen.insert(mailbox.address.canonical().to_owned()) => {
                    if draft.merges_recipients {
                        continue;
                    }
                    let message = format!("{} is a recipient already", mailbox.address);
                    faults.push(Fault::new(place(Some(index)), FaultCode::DuplicateRecipient, message));
                }
                Ok(mailbox) => found.push(Recipient { kind, mailbox, suppressed: None }),
            }
        }
    }
    found
}

/// The addresses that answers go to.
pub(super) fn reply_to(draft: &Draft, faults: &mut Vec<Fault>) -> Vec<Mailbox> {
    if draft.reply_to.len() > REPLY_TO {
        let message = format!("at most {REPLY_TO} reply addresses");
        faults.push(Fault::new(Field::ReplyTo(None), FaultCode::OutOfRange, message));
        return Vec::new();
    }
    let mut found = Vec::with_capacity(draft.reply_to.len());
    for (index, given) in draft.reply_to.iter().enumerate() {
        match mailbox(given, || Field::ReplyTo(Some(index))) {
            Ok(mailbox) => found.push(mailbox),
            Err(fault) => faults.extend(fault),
        }
    }
    found
}
