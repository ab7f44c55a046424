//! What is tested: the engine itself.
use rowhouse_engine_sqlite::{Config, Executor, ExecutorConfig, SqliteEngine};

pub(crate) type Subject = SqliteEngine;

pub(crate) fn make(config: Config, executor: ExecutorConfig) -> (Subject, Executor) {
    let executor = Executor::new(executor);
    (SqliteEngine::new(config, executor.clone()).expect("an engine"), executor)
}
