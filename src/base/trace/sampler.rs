//! Which traces are recorded: the samplers that every OpenTelemetry SDK has, by their usual names.

/// `OTEL_TRACES_SAMPLER` with its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether a caller's decision is followed.
    parent_based: bool,
    root: Root,
}

/// What holds without a caller's decision.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Root {
    All,
    None,
    /// This share of all traces, 0 to 1.
    Share(f64),
}

/// What a sampler cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    /// No sampler has this name.
    #[error(
        "is no sampler; write always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
         parentbased_traceidratio"
    )]
    Name,
    /// The share is none.
    #[error("is no share; write a number from 0 to 1, such as 0.25")]
    Share,
}

impl Sampler {
    /// Reads a sampler's name and argument; the argument counts for shares only, and is 1 when not given.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, SamplerError> {
        let name = name.to_ascii_lowercase();
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name.as_str()),
        };
        let root = match root {
            "always_on" => Root::All,
            "always_off" => Root::None,
            "traceidratio" => Root::Share(share(argument)?),
            _ => return Err(SamplerError::Name),
        };
        Ok(Self { parent_based, root })
    }

    /// Is this trace recorded? `parent` is what the caller decided.
    pub fn wants(self, trace_id: &[u8; 16], parent: Option<bool>) -> bool {
        match (self.parent_based, parent) {
            (true, Some(sampled)) => sampled,
            _ => self.root.wants(trace_id),
        }
    }
}

impl Root {
    fn wants(self, trace_id: &[u8; 16]) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            // By the id, as other SDKs do it: services that sample the same share sample the same traces.
            Self::Share(share) => {
                let [.., a, b, c, d, e, f, g, h] = *trace_id;
                let place = (u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1) as f64;
                share >= 1.0 || place < share * (1_u64 << 63) as f64
            }
        }
    }
}

fn share(argument: Option<&str>) -> Result<f64, SamplerError> {
    let Some(argument) = argument else { return Ok(1.0) };
    let share: f64 = argument.trim().parse().map_err(|_| SamplerError::Share)?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(SamplerError::Share) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chance::Chance;

    #[test]
    fn the_usual_names_mean_what_they_mean_elsewhere() {
        let wants = |name: &str, parent| Sampler::parse(name, None).unwrap().wants(&[1; 16], parent);
        assert!(wants("always_on", Some(false)) && wants("parentbased_always_on", None));
        assert!(!wants("parentbased_always_on", Some(false)) && wants("parentbased_always_off", Some(true)));
        assert!(!wants("always_off", Some(true)) && !wants("parentbased_always_off", None));
        assert_eq!(Sampler::parse("sometimes", None), Err(SamplerError::Name));
        for bad in ["", "half", "1.5", "-0.1", "NaN"] {
            assert_eq!(Sampler::parse("traceidratio", Some(bad)), Err(SamplerError::Share), "{bad}");
        }
    }

    #[test]
    fn a_share_of_the_ids_is_taken() {
        let chance = Chance::new();
        let quarter = Sampler::parse("traceidratio", Some("0.25")).unwrap();
        let taken = (0..10_000).filter(|_| quarter.wants(&chance.bytes(), None)).count();
        assert!((2_000..3_000).contains(&taken), "{taken}");
        let (all, none) = (
            Sampler::parse("traceidratio", None).unwrap(),
            Sampler::parse("traceidratio", Some("0")).unwrap(),
        );
        assert!(all.wants(&[255; 16], None) && !none.wants(&[0; 16], None));
    }
}
