//! `valid` rules and merge expressions in CEL, compiled and bounded when the policy is loaded.

use crate::value::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The longest rule that is accepted, in bytes of source.
pub const SOURCE_BYTES_MAX: usize = 2048;
/// The largest value, in bytes of canonical JSON, that a rule is asked about.
pub const INPUT_BYTES_MAX: usize = 256 * 1024;

/// A compiled CEL expression over named values.
#[derive(Clone)]
pub struct Rule {
    source: Arc<str>,
    program: Arc<cel::Program>,
    env: Arc<cel::Env>,
}

/// Why a rule could not be compiled, or gave no usable answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(pub String);

impl Rule {
    /// Compiles `source`, in which only the names of `variables` may appear.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, RuleError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(RuleError(format!("the rule is longer than {SOURCE_BYTES_MAX} bytes")));
        }
        let env = Arc::new(cel::Env::stdlib());
        let program = env.compile(source).map_err(|error| RuleError(first_line(&error.to_string())))?;
        let references = program.references();
        if let Some(unknown) = references.variables().into_iter().find(|name| !variables.contains(name)) {
            return Err(RuleError(format!(
                "the rule names `{unknown}`; it may use {}",
                variables.join(", ")
            )));
        }
        let rule = Self { source: Arc::from(source), program: Arc::new(program), env };
        Ok(rule)
    }

    /// The rule's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the value satisfies the rule. A rule that fails on a value, or is not boolean, is an error.
    pub fn holds(&self, value: &Value) -> Result<bool, RuleError> {
        match self.run(&[("value", value)])? {
            cel::Value::Bool(answer) => Ok(answer),
            other => {
                Err(RuleError(format!("the rule answered {} instead of true or false", other.type_of())))
            }
        }
    }

    /// The value of the expression over the named inputs.
    pub fn value(&self, inputs: &[(&str, &Value)]) -> Result<Value, RuleError> {
        from_cel(&self.run(inputs)?)
    }

    fn run(&self, inputs: &[(&str, &Value)]) -> Result<cel::Value, RuleError> {
        let mut context = cel::Context::with_env(self.env.clone());
        for (name, value) in inputs {
            if size(value) > INPUT_BYTES_MAX {
                return Err(RuleError(format!("`{name}` is larger than {INPUT_BYTES_MAX} bytes")));
            }
            context.add_variable_from_value(*name, to_cel(value));
        }
        self.program.execute(&context).map_err(|error| RuleError(first_line(&error.to_string())))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({:?})", self.source)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("unreadable").trim().to_owned()
}

/// A cheap upper estimate of the canonical size.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 24,
        Value::Text(text) => text.len(),
        Value::List(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
    }
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(bool) => cel::Value::Bool(*bool),
        Value::Int(int) => cel::Value::Int(*int),
        Value::Float(float) => cel::Value::Float(float.get()),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(map) => {
            let map: HashMap<String, cel::Value> =
                map.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
            map.into()
        }
    }
}

fn from_cel(value: &cel::Value) -> Result<Value, RuleError> {
    match value {
        cel::Value::Null => Ok(Value::Null),
        cel::Value::Bool(bool) => Ok(Value::Bool(*bool)),
        cel::Value::Int(int) => Ok(Value::Int(*int)),
        cel::Value::UInt(uint) => {
            i64::try_from(*uint).map(Value::Int).map_err(|_| RuleError("the result is too large".into()))
        }
        cel::Value::Float(float) => Value::from_f64(*float).map_err(|error| RuleError(error.to_string())),
        cel::Value::String(text) => Ok(Value::text(text.as_str())),
        cel::Value::List(items) => items.iter().map(from_cel).collect::<Result<_, _>>().map(Value::List),
        other => Err(RuleError(format!("the rule answered a {}, which no field can hold", other.type_of()))),
    }
}
