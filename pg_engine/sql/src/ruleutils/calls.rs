//! Text of aggregates and of calls of window functions.

use alloc::format;

use pg_plan::{
    definition::Aggregated,
    expr::Expr,
    logical::{AggregateCall, FrameBound, FrameExclusion, FrameUnits, WindowCall, WindowSpec},
};
use pg_types::Result;

use super::WindowBase;
use crate::deparse::{Writer, quote};

impl Writer<'_> {
    pub(super) fn aggregate(&mut self, call: &AggregateCall) -> Result<()> {
        let ordered = pg_functions::registry().aggregate(call.function.oid()).is_some_and(|a| a.kind != b'n');
        self.aggregate_name(&call.function)?;
        self.put("(");
        if call.distinct {
            self.put("DISTINCT ");
        }
        if ordered {
            let direct = call.args.len().saturating_sub(call.order_by.len());
            self.list(call.args.get(..direct).unwrap_or(&[]))?;
            self.put(") WITHIN GROUP (ORDER BY ");
            self.sort_keys(&call.order_by)?;
        } else {
            if call.args.is_empty() {
                self.put("*");
            }
            self.aggregate_arguments(&call.function, &call.args)?;
            if !call.order_by.is_empty() {
                self.put(" ORDER BY ");
                self.sort_keys(&call.order_by)?;
            }
        }
        self.filter(call.filter.as_ref())?;
        self.put(")");
        Ok(())
    }

    fn aggregate_name(&mut self, function: &Aggregated) -> Result<()> {
        match function {
            Aggregated::Builtin(f) => self.put(&quote(f.name)),
            Aggregated::User(a) => self.routine_name(&a.routine)?,
        }
        Ok(())
    }

    fn aggregate_arguments(&mut self, function: &Aggregated, args: &[Expr]) -> Result<()> {
        match function {
            Aggregated::Builtin(f) => self.arguments(f, args),
            Aggregated::User(a) => self.routine_arguments(&a.routine, args),
        }
    }

    pub(super) fn filter(&mut self, filter: Option<&Expr>) -> Result<()> {
        if let Some(filter) = filter {
            self.put(") FILTER (WHERE ");
            self.expr(filter)?;
        }
        Ok(())
    }

    pub(super) fn window_call(&mut self, id: u32, spec: &WindowSpec, call: &WindowCall) -> Result<()> {
        self.aggregate_name(&call.function)?;
        self.put("(");
        let aggregate =
            call.function.builtin().is_none_or(|f| f.kind == pg_functions::FunctionKind::Aggregate);
        if call.args.is_empty() && aggregate {
            self.put("*");
        }
        self.aggregate_arguments(&call.function, &call.args)?;
        self.filter(call.filter.as_ref())?;
        self.put(") OVER ");
        let named = self.scope()?.window_names.iter().find(|(column, _)| *column == id);
        match named {
            Some((_, WindowBase { name, whole: true, .. })) => self.put(&quote(name)),
            Some((_, base)) => self.window(spec, Some(base))?,
            None => self.window(spec, None)?,
        }
        Ok(())
    }

    pub(super) fn window(&mut self, spec: &WindowSpec, base: Option<&WindowBase>) -> Result<()> {
        self.put("(");
        let mut gap = "";
        if let Some(base) = base {
            self.put(&quote(&base.name));
            gap = " ";
        } else if !spec.partition.is_empty() {
            self.put("PARTITION BY ");
            for (n, e) in spec.partition.iter().enumerate() {
                if n > 0 {
                    self.put(", ");
                }
                self.key(e)?;
            }
            gap = " ";
        }
        if !spec.order.is_empty() && !base.is_some_and(|b| b.ordered) {
            self.put(gap);
            self.put("ORDER BY ");
            self.sort_keys(&spec.order)?;
            gap = " ";
        }
        let usual = spec.frame.units == FrameUnits::Range
            && matches!(spec.frame.start, FrameBound::Unbounded)
            && matches!(spec.frame.end, FrameBound::Current)
            && spec.frame.exclude == FrameExclusion::NoOthers;
        if !usual {
            self.put(gap);
            self.put(match spec.frame.units {
                FrameUnits::Rows => "ROWS ",
                FrameUnits::Range => "RANGE ",
                FrameUnits::Groups => "GROUPS ",
            });
            self.put(if spec.frame.between { "BETWEEN " } else { "" });
            self.bound(&spec.frame.start, "PRECEDING")?;
            if spec.frame.between {
                self.put(" AND ");
                self.bound(&spec.frame.end, "FOLLOWING")?;
            }
            self.put(match spec.frame.exclude {
                FrameExclusion::NoOthers => "",
                FrameExclusion::CurrentRow => " EXCLUDE CURRENT ROW",
                FrameExclusion::Group => " EXCLUDE GROUP",
                FrameExclusion::Ties => " EXCLUDE TIES",
            });
        }
        self.put(")");
        Ok(())
    }

    fn bound(&mut self, bound: &FrameBound, side: &str) -> Result<()> {
        match bound {
            FrameBound::Unbounded => self.put(&format!("UNBOUNDED {side}")),
            FrameBound::Current => self.put("CURRENT ROW"),
            FrameBound::Offset { distance, following, .. } => {
                self.count(distance)?;
                self.put(if *following { " FOLLOWING" } else { " PRECEDING" });
            }
        }
        Ok(())
    }
}
