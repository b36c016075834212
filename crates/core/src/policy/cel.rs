//! `valid` rules and merge expressions in CEL, compiled and bounded when the policy is loaded.

use crate::data::value::Value;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr};
use cel::objects::Key;
use std::fmt;
use std::sync::Arc;

/// The longest rule that is accepted, in bytes of source.
pub const SOURCE_BYTES_MAX: usize = 2048;
/// The largest value, in bytes of canonical JSON, that a rule is asked about.
pub const INPUT_BYTES_MAX: usize = 256 * 1024;
/// How deep `all`, `exists`, `map` and `filter` may be nested.
pub const COMPREHENSION_DEPTH_MAX: usize = 2;

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
        check_names(program.expression(), &mut variables.to_vec(), 0)?;
        check_functions(&program, &env)?;
        let rule = Self { source: Arc::from(source), program: Arc::new(program), env };
        Ok(rule)
    }

    /// The rule's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the value satisfies the rule. A rule that fails on a value, or is not boolean, is an error.
    pub fn holds(&self, value: &Value) -> Result<bool, RuleError> {
        let answer = self.run(&[("value", value)])?;
        let cel::Value::Bool(holds) = answer else {
            let text = format!("the rule answered {} instead of true or false", answer.type_of());
            return Err(RuleError(text));
        };
        Ok(holds)
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

/// Refuses names that stand for nothing, and comprehensions within comprehensions within comprehensions, because
/// each level multiplies the cost. `scope` holds what may be named: the inputs and the variables of comprehensions.
fn check_names<'a>(
    expression: &'a cel::IdedExpr,
    scope: &mut Vec<&'a str>,
    depth: usize,
) -> Result<(), RuleError> {
    match &expression.expr {
        Expr::Unspecified | Expr::Literal(_) => Ok(()),
        Expr::Ident(name) if name.starts_with('@') || scope.contains(&name.as_str()) => Ok(()),
        Expr::Ident(name) => {
            let known: Vec<_> = scope.iter().copied().filter(|name| !name.starts_with('@')).collect();
            Err(RuleError(format!("the rule names `{name}`; it may use {}", known.join(", "))))
        }
        Expr::Select(select) => check_names(&select.operand, scope, depth),
        Expr::List(list) => list.elements.iter().try_for_each(|part| check_names(part, scope, depth)),
        Expr::Call(call) => {
            call.target.iter().try_for_each(|target| check_names(target, scope, depth))?;
            call.args.iter().try_for_each(|part| check_names(part, scope, depth))
        }
        Expr::Map(map) => map.entries.iter().try_for_each(|part| check_entry(&part.expr, scope, depth)),
        Expr::Struct(parts) => {
            parts.entries.iter().try_for_each(|part| check_entry(&part.expr, scope, depth))
        }
        Expr::Comprehension(each) => check_comprehension(each, scope, depth + 1),
    }
}

fn check_entry<'a>(entry: &'a EntryExpr, scope: &mut Vec<&'a str>, depth: usize) -> Result<(), RuleError> {
    match entry {
        EntryExpr::StructField(field) => check_names(&field.value, scope, depth),
        EntryExpr::MapEntry(pair) => {
            check_names(&pair.key, scope, depth)?;
            check_names(&pair.value, scope, depth)
        }
    }
}

fn check_comprehension<'a>(
    each: &'a ComprehensionExpr,
    scope: &mut Vec<&'a str>,
    depth: usize,
) -> Result<(), RuleError> {
    if depth > COMPREHENSION_DEPTH_MAX {
        return Err(RuleError(format!(
            "the rule nests all, exists, map or filter deeper than {COMPREHENSION_DEPTH_MAX}"
        )));
    }
    check_names(&each.iter_range, scope, depth)?;
    check_names(&each.accu_init, scope, depth)?;
    let outer = scope.len();
    scope.extend([each.iter_var.as_str(), each.accu_var.as_str()]);
    scope.extend(each.iter_var2.as_deref());
    let inner = [&each.loop_cond, &each.loop_step, &each.result];
    inner.into_iter().try_for_each(|part| check_names(part, scope, depth))?;
    scope.truncate(outer);
    Ok(())
}

/// Refuses functions that do not exist: such a rule would refuse every value. The library is asked, not a list.
fn check_functions(program: &cel::Program, env: &Arc<cel::Env>) -> Result<(), RuleError> {
    let exists = |name: &str| {
        let context = cel::Context::with_env(env.clone());
        [format!("{name}(1)"), format!("'x'.{name}()")].iter().any(|call| match env.compile(call) {
            Ok(call) => !matches!(call.execute(&context), Err(cel::ExecutionError::UndeclaredReference(_))),
            Err(_) => true,
        })
    };
    let references = program.references();
    let mut named: Vec<_> = references.functions();
    named.sort_unstable();
    let is_word = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match named.into_iter().find(|name| is_word(name) && !exists(name)) {
        Some(unknown) => Err(RuleError(format!("the rule calls `{unknown}`, which does not exist"))),
        None => Ok(()),
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
            // The library's own map has no order; a rule can look into it, and what comes back is ordered again.
            let entries = map.iter().map(|(key, value)| (Key::from(key.as_str()), to_cel(value)));
            cel::Value::Map(cel::objects::Map { map: Arc::new(entries.collect()) })
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
        cel::Value::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| match key {
                Key::String(key) => Ok((key.to_string(), from_cel(value)?)),
                Key::Int(_) | Key::Uint(_) | Key::Bool(_) => {
                    Err(RuleError("the keys of an object have to be texts".into()))
                }
            });
            entries.collect::<Result<_, _>>().map(Value::Object)
        }
        cel::Value::Function(..) | cel::Value::Bytes(_) | cel::Value::Opaque(_) | cel::Value::Struct(_) => {
            Err(RuleError(format!("the rule answered a {}, which no field can hold", value.type_of())))
        }
    }
}
