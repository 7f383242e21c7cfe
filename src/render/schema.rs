//! The JSON Schema of a template's variables.
//!
//! A schema comes from whoever holds a key, and the validator has no account of work, so what it may cost is bounded
//! before it runs: references stay inside the schema and form no circle, the schema with its references written out
//! has a weight, and weight times the size of the variables has a limit. Patterns run in an engine that takes
//! linear time.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, FaultCode};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// The longest schema, in bytes of JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// How deep a schema may nest, references written out.
const DEPTH_MAX: usize = 64;
/// The most that a schema may weigh: one for each value in it, references written out.
const WEIGHT_MAX: u64 = 50_000;
/// What a pattern weighs: matching is linear in the text, but each character costs more than a comparison.
const PATTERN_WEIGHT: u64 = 1_000;
/// The size of a compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// The most that weight times size of the variables may come to.
const COST_MAX: u64 = 10_000_000;
/// Bytes of text in the variables that count like one value.
const TEXT_BYTES_PER_VALUE: usize = 16;
/// How many faults are named at once.
const FAULTS_MAX: usize = 20;

/// A schema that has been read.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    weight: u64,
}

/// Why a value is no schema that can be used; for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

impl Schema {
    /// Reads a JSON Schema (2020-12 unless `$schema` names an earlier one).
    pub fn new(schema: &Json) -> Result<Self, SchemaError> {
        if !matches!(schema, Json::Object(_) | Json::Bool(_)) {
            return Err(SchemaError("a JSON Schema is an object".to_owned()));
        }
        if schema.to_string().len() > SCHEMA_BYTES_MAX {
            return Err(SchemaError(format!("the schema is longer than {SCHEMA_BYTES_MAX} bytes")));
        }
        let weight = Weighing { root: schema, known: HashMap::new() }.weight(schema, 0)?;
        let options = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .should_validate_formats(true)
            // Compiling a pattern out of the variables is work without a bound.
            .with_format("regex", |_: &str| true);
        let validator = options.build(schema).map_err(|error| SchemaError(describe(&error)))?;
        Ok(Self { validator, weight })
    }

    /// Everything in which `variables` do not fit.
    pub fn check(&self, variables: &Map<String, Json>) -> Vec<Fault> {
        let variables = Json::Object(variables.clone());
        if self.weight.saturating_mul(size(&variables)) > COST_MAX {
            let message = "the variables are too large to be checked against the template's schema";
            return vec![Fault::new(Field::Variables(String::new()), FaultCode::TooLong, message)];
        }
        self.validator.iter_errors(&variables).take(FAULTS_MAX).map(|error| fault(&error)).collect()
    }
}

/// The fault at the field `variables_schema`, if this is no schema that can be used.
pub fn validate(schema: &Json) -> Result<(), Fault> {
    Schema::new(schema).map(drop).map_err(|error| {
        Fault::new(Field::Other("variables_schema".to_owned()), FaultCode::InvalidSchema, error.to_string())
    })
}

fn fault(error: &jsonschema::ValidationError<'_>) -> Fault {
    let place = error.instance_path().as_str();
    if let ValidationErrorKind::Required { property: Json::String(property) } = error.kind() {
        let pointer = format!("{place}/{}", property.replace('~', "~0").replace('/', "~1"));
        return Fault::new(
            Field::Variables(pointer),
            FaultCode::MissingVariable,
            "the template's schema requires it",
        );
    }
    Fault::new(Field::Variables(place.to_owned()), FaultCode::InvalidVariable, describe(error))
}

/// What is wrong, without the value itself, which may be long and is nobody's business in a log.
fn describe(error: &jsonschema::ValidationError<'_>) -> String {
    let mut message = error.masked().to_string();
    if let Some((cut, _)) = message.char_indices().nth(300) {
        message.truncate(cut);
    }
    message
}

/// Values in the variables, long texts counting for more.
fn size(value: &Json) -> u64 {
    let text = |text: &str| 1 + (text.len() / TEXT_BYTES_PER_VALUE) as u64;
    match value {
        Json::String(string) => text(string),
        Json::Array(items) => 1 + items.iter().map(size).sum::<u64>(),
        Json::Object(map) => 1 + map.iter().map(|(key, value)| text(key) + size(value)).sum::<u64>(),
        _ => 1,
    }
}

/// Weighs a schema with its references written out.
struct Weighing<'a> {
    root: &'a Json,
    /// The weight of what references lead to; `None` while it is being weighed.
    known: HashMap<&'a str, Option<u64>>,
}

impl<'a> Weighing<'a> {
    fn weight(&mut self, value: &'a Json, depth: usize) -> Result<u64, SchemaError> {
        if depth > DEPTH_MAX {
            return Err(SchemaError(format!("the schema nests more than {DEPTH_MAX} deep")));
        }
        let mut weight = 1_u64;
        match value {
            Json::Array(items) => {
                for item in items {
                    weight = weight.saturating_add(self.weight(item, depth + 1)?);
                }
            }
            Json::Object(map) => {
                for (key, value) in map {
                    weight = weight.saturating_add(self.member(key, value, depth)?);
                }
            }
            _ => {}
        }
        if weight > WEIGHT_MAX {
            return Err(SchemaError("the schema, with its references written out, is too large".to_owned()));
        }
        Ok(weight)
    }

    fn member(&mut self, key: &str, value: &'a Json, depth: usize) -> Result<u64, SchemaError> {
        let below = match (key, value) {
            ("$ref", Json::String(reference)) => self.reference(reference, depth)?,
            ("$dynamicRef" | "$recursiveRef", Json::String(_)) => {
                return Err(SchemaError(format!("`{key}` is not supported here")));
            }
            // Below a name of its own, `#/...` would lead elsewhere than it was followed here.
            ("$id" | "$schema", Json::String(_)) if depth > 0 => {
                return Err(SchemaError(format!("`{key}` can stand at the top only")));
            }
            ("$schema", Json::String(draft)) if draft.contains("draft-04") || draft.contains("draft-03") => {
                return Err(SchemaError("the drafts before 6 are not supported".to_owned()));
            }
            ("pattern", Json::String(_)) => PATTERN_WEIGHT,
            ("patternProperties", Json::Object(patterns)) => {
                let patterns_weight = PATTERN_WEIGHT.saturating_mul(patterns.len() as u64);
                patterns_weight.saturating_add(self.weight(value, depth + 1)?)
            }
            _ => self.weight(value, depth + 1)?,
        };
        Ok(below)
    }

    fn reference(&mut self, reference: &'a str, depth: usize) -> Result<u64, SchemaError> {
        match self.known.get(reference) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => return Err(SchemaError(format!("`$ref` {reference} leads back to itself"))),
            None => {}
        }
        let pointer = reference.strip_prefix('#').ok_or_else(|| {
            SchemaError(format!("`$ref` {reference} leads outside; only `#/...` is followed"))
        })?;
        let Some(target) = self.root.pointer(pointer) else {
            return Err(SchemaError(format!("`$ref` {reference} leads nowhere")));
        };
        self.known.insert(reference, None);
        let weight = self.weight(target, depth + 1)?;
        self.known.insert(reference, Some(weight));
        Ok(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::{Duration, Instant};

    fn check(schema: Json, variables: Json) -> Vec<(Field, FaultCode)> {
        let Json::Object(variables) = variables else { panic!("no object") };
        let faults = Schema::new(&schema).unwrap().check(&variables);
        faults.into_iter().map(|fault| (fault.field, fault.code)).collect()
    }

    fn at(pointer: &str, code: FaultCode) -> (Field, FaultCode) {
        (Field::Variables(pointer.to_owned()), code)
    }

    #[test]
    fn names_every_variable_that_does_not_fit() {
        let schema = json!({
            "type": "object",
            "required": ["name", "a/b"],
            "properties": {
                "name": true,
                "a/b": true,
                "age": {"type": "integer", "minimum": 0},
                "code": {"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"},
                "mail": {"type": "string", "format": "email"},
                "items": {"type": "array", "items": {"$ref": "#/$defs/item"}}
            },
            "additionalProperties": false,
            "$defs": {"item": {"type": "object", "required": ["sku"]}}
        });
        assert_eq!(check(schema.clone(), json!({"name": "Ann", "a/b": 1, "age": 3, "code": "AB1"})), []);
        let wrong = json!({"age": -1, "code": "nope", "mail": "no", "items": [{"sku": 1}, {}], "more": 1});
        let mut found = check(schema, wrong);
        found.sort_by_key(|(field, _)| format!("{field:?}"));
        assert_eq!(
            found,
            [
                at("", FaultCode::InvalidVariable),
                at("/age", FaultCode::InvalidVariable),
                at("/a~1b", FaultCode::MissingVariable),
                at("/code", FaultCode::InvalidVariable),
                at("/items/1/sku", FaultCode::MissingVariable),
                at("/mail", FaultCode::InvalidVariable),
                at("/name", FaultCode::MissingVariable),
            ]
        );
    }

    #[test]
    fn does_not_repeat_the_value() {
        let schema = Schema::new(&json!({"properties": {"a": {"type": "integer"}}})).unwrap();
        let variables = Map::from_iter([("a".to_owned(), json!("a secret"))]);
        let faults = schema.check(&variables);
        assert!(!faults.is_empty() && !faults[0].message.contains("secret"), "{faults:?}");
    }

    #[test]
    fn refuses_what_is_no_schema_or_costs_too_much() {
        let deep = (0..200).fold(json!(true), |inner, _| json!({"not": inner}));
        // 2^14 validations of one value, in less than 2 kB.
        let mut doubling: Map<String, Json> = (0..14)
            .map(|n| {
                let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
                (format!("d{n}"), json!({"anyOf": [next.clone(), next]}))
            })
            .collect();
        doubling.insert("d14".to_owned(), json!(false));
        for (schema, part) in [
            (json!(5), "is an object"),
            (json!({"type": 5}), ""),
            (json!({"pattern": "("}), ""),
            (json!({"pattern": "(?=x)y"}), ""),
            (json!({"pattern": "((a{100}){100}){100}"}), ""),
            (json!({"$ref": "https://example.com/schema.json"}), "leads outside"),
            (json!({"$ref": "file:///etc/passwd"}), "leads outside"),
            (json!({"$ref": "other.json"}), "leads outside"),
            (json!({"properties": {"a": {"$ref": "#/$defs/gone"}}}), "leads nowhere"),
            (json!({"$ref": "#"}), "leads back"),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}), "leads back"),
            (json!({"$dynamicRef": "#x"}), "not supported"),
            (json!({"$ref": "#/$defs/d0", "$defs": doubling}), "too large"),
            (json!({"properties": {"a": {"$id": "x"}}}), "at the top only"),
            (json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "not supported"),
            (deep, "deep"),
            (json!({"enum": ["x".repeat(70_000)]}), "longer than"),
        ] {
            let start = Instant::now();
            let fault = validate(&schema).unwrap_err();
            assert_eq!(fault.code, FaultCode::InvalidSchema);
            assert!(fault.message.contains(part), "{fault:?}");
            assert!(start.elapsed() < Duration::from_millis(500), "{:?} {schema:.80}", start.elapsed());
        }
    }

    #[test]
    fn variables_too_large_for_the_schema_are_refused_unchecked() {
        let options: Vec<u32> = (0..10_000).collect();
        let schema = json!({"properties": {"list": {"items": {"enum": options}}}});
        let list: Vec<u32> = (20_000..40_000).collect();
        assert_eq!(check(schema, json!({"list": list})), [at("", FaultCode::TooLong)]);
    }
}
