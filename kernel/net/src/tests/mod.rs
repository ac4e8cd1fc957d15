//! The stack against a peer built from plain smoltcp, over a link that loses, doubles and reorders.

mod flows;
mod limits;
mod link;
mod tasks;
