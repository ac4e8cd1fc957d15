//! Functions with VARIADIC "any" called with an array for their last argument: `f(VARIADIC array)`.
//!
//! Values do not tell whether an array is one argument or stands for its elements, so that such a call has a function of its own:
//! under the same number and name, with [`Function::gathered`] set.

use alloc::{sync::Arc, vec::Vec};

use pg_types::{Result, Value, oid::ANY, value::ArrayValue};

use crate::{
    call::mismatch,
    def::{EvalContext, Function, Implementation},
    registry::registry,
};

/// Makes the call of `f` that the array's elements would be; `None` for a NULL array.
fn spread(f: u32, ctx: &EvalContext<'_>, args: &[Value]) -> Result<Option<Value>> {
    let function = registry().function(f).ok_or_else(mismatch)?;
    let Implementation::Row(plain) = function.imp else { return Err(mismatch()) };
    let (args, types) = match args.split_last() {
        Some((Value::Array(types), rest)) if function.described => (rest, Some(types)),
        _ => (args, None),
    };
    let Some((last, fixed)) = args.split_last() else { return Err(mismatch()) };
    let array = match last {
        Value::Null => return Ok(None),
        Value::Array(array) => array,
        _ => return Err(mismatch()),
    };
    let mut all = Vec::with_capacity(fixed.len() + array.values.len() + 1);
    all.extend_from_slice(fixed);
    all.extend(array.values.iter().cloned());
    if let Some(types) = types {
        let mut each: Vec<Value> = types.values.iter().take(fixed.len()).cloned().collect();
        each.resize(all.len(), Value::Oid(array.element));
        let dims = alloc::vec![(each.len() as i32, 1)];
        all.push(Value::Array(Arc::new(ArrayValue { element: types.element, dims, values: each })));
    }
    plain(ctx, &all).map(Some)
}

macro_rules! gathered {
    ($($oid:literal: $null:expr;)*) => {
        /// The functions, built from the plain ones at the first use.
        fn table() -> &'static [Function] {
            static TABLE: spin::Once<Vec<Function>> = spin::Once::new();
            TABLE.call_once(|| {
                let mut all = Vec::new();
                $(if let Some(plain) = registry().function($oid) {
                    let imp = Implementation::Row(|ctx, args| match spread($oid, ctx, args)? {
                        Some(value) => Ok(value),
                        None => {
                            let null: fn(&EvalContext<'_>, &[Value]) -> Result<Value> = $null;
                            null(ctx, args)
                        }
                    });
                    all.push(Function { gathered: true, imp, ..*plain });
                })*
                all
            })
        }
    };
}

fn null(_: &EvalContext<'_>, _: &[Value]) -> Result<Value> {
    Ok(Value::Null)
}

/// `format` takes a NULL array as one without elements.
fn no_arguments(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    match registry().function(3540).map(|f| f.imp) {
        Some(Implementation::Row(plain)) => match args {
            // The types come last.
            [template, .., types] => plain(ctx, &[template.clone(), types.clone()]),
            _ => Err(mismatch()),
        },
        _ => Err(mismatch()),
    }
}

gathered! {
    3058: null;
    3059: null;
    3539: no_arguments;
    440: null;
    438: null;
    3198: null;
    3271: null;
    3200: null;
    3273: null;
}

/// The form of a function with VARIADIC "any" that takes the array; `None` for others.
pub fn gathered(function: &Function) -> Option<&'static Function> {
    if function.variadic != ANY {
        return None;
    }
    table().iter().find(|f| f.oid == function.oid)
}
