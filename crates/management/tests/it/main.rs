//! The management listener over real sockets, on a gateway with a fake engine.
mod access;
mod answers;
mod crowd;
mod described;
mod encrypted;
mod gate;
mod limits;
mod support;
