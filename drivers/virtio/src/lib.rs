//! virtio devices over modern PCI: network and entropy.
#![no_std]

extern crate alloc;
