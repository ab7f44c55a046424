//! A database that fails as it is told.
use futures::StreamExt as _;
use futures::future::BoxFuture;
use rowhouse_engine::{
    Chunks, Condition, Connection, Course, Database, Description, EngineError, Listener, Listening, Options,
    SessionState, Stamp,
};
use rowhouse_types::Request;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// How it fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Nothing can be written.
    Full,
    /// A commit takes effect and is said to have failed.
    AfterCommit,
}

/// A database that fails as it is told.
#[derive(Debug)]
pub(super) struct Failing {
    inner: Arc<dyn Database>,
    fault: Arc<Mutex<Option<Fault>>>,
}

#[derive(Debug)]
struct Faulty {
    inner: Box<dyn Connection>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Failing {
    pub(super) fn new(inner: Arc<dyn Database>) -> Arc<Self> {
        Arc::new(Self { inner, fault: Arc::default() })
    }

    pub(super) fn fault(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }
}

impl Database for Failing {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, EngineError>> {
        Box::pin(async {
            let (inner, fault) = (self.inner.connect().await?, self.fault.clone());
            let connection: Box<dyn Connection> = Box::new(Faulty { inner, fault });
            Ok(connection)
        })
    }

    fn verify(&self) -> Result<(), EngineError> {
        self.inner.verify()
    }

    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        self.inner.size()
    }

    fn bound(&self, max_bytes: Option<u64>) {
        self.inner.bound(max_bytes);
    }

    fn is_frozen(&self) -> BoxFuture<'_, Result<bool, EngineError>> {
        self.inner.is_frozen()
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.inner.checkpoint()
    }

    fn stamp(&self) -> BoxFuture<'_, Result<Option<Stamp>, EngineError>> {
        self.inner.stamp()
    }

    fn backup<'a>(&'a self, to: &'a Path, course: &'a Course) -> BoxFuture<'a, Result<(), EngineError>> {
        self.inner.backup(to, course)
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> BoxFuture<'_, Result<Box<dyn Listening>, EngineError>> {
        self.inner.listen(listener)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.inner.close()
    }
}

impl Connection for Faulty {
    fn run(&mut self, request: Request, options: Options) -> Chunks<'_> {
        let full = EngineError::Statement {
            condition: Condition::Full,
            message: "database or disk is full".to_owned(),
            native: 13,
        };
        let failed = futures::stream::once(async { Err(full) });
        let (fault, commits) = (*self.fault.lock().unwrap(), request.sql() == "COMMIT");
        match fault {
            Some(Fault::Full) if request.sql().starts_with("INSERT") => failed.boxed(),
            Some(Fault::AfterCommit) if commits => {
                let taken = self.inner.run(request, options);
                taken.filter(|_| async { false }).chain(failed).boxed()
            }
            _ => self.inner.run(request, options),
        }
    }

    fn describe<'a>(
        &'a mut self,
        sql: &'a str,
        options: Options,
    ) -> BoxFuture<'a, Result<Description, EngineError>> {
        self.inner.describe(sql, options)
    }

    fn take_back(&mut self) -> Option<Request> {
        self.inner.take_back()
    }

    fn state(&self) -> SessionState {
        self.inner.state()
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.inner.ping()
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.inner.reset()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.inner.close()
    }
}
