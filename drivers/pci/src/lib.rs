//! PCI configuration space over ECAM, BARs, MSI-X.
#![no_std]

extern crate alloc;
