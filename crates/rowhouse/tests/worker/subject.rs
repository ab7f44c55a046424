//! What is tested: the engine whose databases run in workers.
use rowhouse::WorkerTerms;
use rowhouse_engine_sqlite::{Config, Executor, ExecutorConfig, SqliteEngine};
use rowhouse_engine_worker::WorkerEngine;
use std::sync::Arc;

pub(crate) type Subject = WorkerEngine;

pub(crate) fn make(config: Config, executor: ExecutorConfig) -> (Subject, Executor) {
    let terms = WorkerTerms { threads: executor.max_threads, memory: 1 << 30 };
    let launch = terms.launch(env!("CARGO_BIN_EXE_rowhouse").into(), &config).expect("plain settings");
    let executor = Executor::new(executor);
    let engine = Arc::new(SqliteEngine::new(config, executor.clone()).expect("an engine"));
    (WorkerEngine::new(engine, launch), executor)
}
