//! The engine as an ordinary Linux process on the hosted platform.

fn main() {}
