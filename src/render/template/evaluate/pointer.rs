//! Where a missing variable is missing, as the application that sent the variables sees it.

use super::{Place, Run};
use crate::render::template::parser::{Expression, Path, Step};
use crate::render::template::value::Value;
use serde_json::Value as Json;

/// How much of a name a pointer shows, in characters.
const TOKEN_CHARACTERS_MAX: usize = 128;

impl<'a> Run<'a> {
    /// The JSON pointer (RFC 6901) of a path's first `steps` steps, in the variables as they were given: a loop's
    /// name is led back to the list it goes through. `last` is the value of the last step, if it was computed.
    pub(super) fn pointer(&self, path: &Path, steps: usize, last: Option<&Value<'a>>) -> String {
        let mut pointer = String::new();
        self.write_base(&path.name, self.bindings.len(), &mut pointer);
        for (index, step) in path.steps.iter().take(steps).enumerate() {
            let last = if index + 1 == steps { last } else { None };
            write_step(step, last, &mut pointer);
        }
        pointer
    }

    fn write_base(&self, name: &str, below: usize, pointer: &mut String) {
        let bound = self.bindings[..below].iter().rposition(|binding| binding.name == name);
        let origin = bound.and_then(|at| self.bindings[at].origin.map(|origin| (at, origin)));
        let Some((at, (path, place))) = origin else {
            return push_token(name, pointer);
        };
        self.write_base(&path.name, at, pointer);
        path.steps.iter().for_each(|step| write_step(step, None, pointer));
        match place {
            Place::Index(index) => push_token(&index.to_string(), pointer),
            Place::Key(key) => push_token(key, pointer),
        }
    }
}

fn write_step(step: &Step, computed: Option<&Value<'_>>, pointer: &mut String) {
    match (step, computed.cloned().and_then(Value::text)) {
        (Step::Key(key), _) => push_token(key, pointer),
        (Step::Index(index), _) => push_token(&index.to_string(), pointer),
        (Step::Computed(Expression::Literal(Json::String(text))), None) => push_token(text, pointer),
        (Step::Computed(Expression::Literal(Json::Number(number))), None) => {
            push_token(&number.to_string(), pointer);
        }
        (Step::Computed(_), Some(text)) => push_token(&text, pointer),
        (Step::Computed(_), None) => push_token("*", pointer),
    }
}

fn push_token(token: &str, pointer: &mut String) {
    pointer.push('/');
    for c in token.chars().take(TOKEN_CHARACTERS_MAX) {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}
