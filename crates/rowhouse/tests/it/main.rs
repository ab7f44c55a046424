//! The binary as its users meet it: started, asked by real clients, signalled and ended.
//!
//! Whoever speaks to the server is Python: the public client, the package in `clients/python`, or the
//! scripts in `tests/python`. Without an interpreter (`ROWHOUSE_TEST_PYTHON`, else `target/venv`) those
//! tests say `SKIPPED:`, and fail where `CI` is `true`.
#![cfg(test)]

mod access;
mod administration;
mod audit;
mod backups;
mod bodies;
mod clients;
mod command_line;
mod compatible;
mod connections;
mod crash;
mod data_directory;
mod db;
mod db_served;
mod doctor;
mod documentation;
mod encryption;
mod failover;
mod faults;
mod files;
mod hostile_files;
mod hrana;
mod hrana_clients;
mod hrana_promises;
mod hrana_socket;
mod http;
mod isolation;
mod journal;
mod library;
mod limits;
mod limits_afar;
mod live;
mod log;
mod management;
mod manager;
mod manager_answers;
mod metadata;
mod migrations;
mod notify;
mod organizations;
mod packaging;
mod permits;
mod pools;
mod postgres;
mod query;
mod room;
mod run_time;
mod scenarios;
mod shutdown;
mod signals;
mod support;
mod tools;
