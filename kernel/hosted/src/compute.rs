//! Compute devices of this process.

use std::{num::ParseIntError, str::FromStr};

use gpu_shim::{Executor, Linked, Processor};
use platform::compute::{ComputeDevice, Devices};

/// A device that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This machine's cores, as a device: it computes what a GPU would.
    Processor,
    /// A GPU, by number.
    Gpu(usize),
}

impl FromStr for Choice {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        if text == "processor" { Ok(Self::Processor) } else { text.parse().map(Self::Gpu) }
    }
}

/// Opens them.
pub fn open(choices: &[Choice], memory: u64) -> Result<Devices, String> {
    choices
        .iter()
        .map(|choice| {
            let executor: Box<dyn Executor> = match *choice {
                Choice::Processor => Box::new(Processor::new(Processor::threads(), memory)),
                Choice::Gpu(number) => gpu(number, memory)?,
            };
            Ok(Box::new(Linked::new(executor)) as Box<dyn ComputeDevice>)
        })
        .collect()
}

#[cfg(feature = "wgpu")]
fn gpu(number: usize, memory: u64) -> Result<Box<dyn Executor>, String> {
    match gpu_shim::Gpu::open(number, memory) {
        Ok(gpu) => Ok(Box::new(gpu)),
        Err(e) => Err(format!("compute device {number}: {e}")),
    }
}

#[cfg(not(feature = "wgpu"))]
fn gpu(number: usize, _memory: u64) -> Result<Box<dyn Executor>, String> {
    Err(format!("compute device {number} cannot be reached: this was built without the feature `wgpu`"))
}
