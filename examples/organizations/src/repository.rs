//! Jobs as rows of their organization's database.
use rowhouse_gateway::{DatabaseSession, StatementError};
use rowhouse_types::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::ops::DerefMut;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is to be docked to what.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Input {
    receptor: String,
    ligand: String,
}

/// What became of a job.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Outcome {
    score: f64,
    /// By name.
    #[serde(default)]
    artifacts: BTreeMap<String, String>,
}

/// A job.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Job {
    id: String,
    receptor: String,
    ligand: String,
    status: String,
    score: Option<f64>,
    artifacts: Vec<String>,
    /// Whether it was there before it was asked for.
    pub(crate) cached: bool,
}

/// The jobs of the organization that the session is with.
pub(crate) struct DockingJobRepository<S>(S);

// === impl Input ===

impl Input {
    /// What tells it from every other input.
    fn signature(&self) -> String {
        let mut hash = Sha256::new();
        for text in [&self.receptor, &self.ligand] {
            // With its length, so that no two inputs are one text.
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

// === impl DockingJobRepository ===

impl<S: DerefMut<Target = DatabaseSession>> DockingJobRepository<S> {
    pub(crate) fn new(session: S) -> Self {
        Self(session)
    }

    /// The job that has had this input, or else a new one. Of many that ask at once, all have the same.
    pub(crate) async fn create_job(&mut self, input: &Input) -> Result<Job, StatementError> {
        let (signature, id) = (input.signature(), uuid::Uuid::now_v7().to_string());
        if let Some(job) = self.cached(&signature).await? {
            return Ok(job);
        }
        self.0.execute("BEGIN", []).await?;
        let row = [text(&id), text(&input.receptor), text(&input.ligand), now()];
        let sql = "INSERT INTO docking_jobs (id, receptor, ligand, status, created_at) \
                   VALUES (?1, ?2, ?3, 'queued', ?4)";
        self.0.execute(sql, row).await?;
        let sql = "INSERT INTO input_signatures (signature, job_id) VALUES (?1, ?2) \
                   ON CONFLICT (signature) DO NOTHING";
        let is_first = self.0.execute(sql, [text(&signature), text(&id)]).await? == 1;
        self.0.execute(if is_first { "COMMIT" } else { "ROLLBACK" }, []).await?;
        let (receptor, ligand) = (input.receptor.clone(), input.ligand.clone());
        let status = "queued".to_owned();
        let new = Job { id, receptor, ligand, status, score: None, artifacts: Vec::new(), cached: false };
        match is_first {
            true => Ok(new),
            // Somebody else was.
            false => Ok(self.cached(&signature).await?.unwrap_or(new)),
        }
    }

    pub(crate) async fn get_by_id(&mut self, id: &str) -> Result<Option<Job>, StatementError> {
        let sql = "SELECT j.id, j.receptor, j.ligand, j.status, r.score FROM docking_jobs j \
                   LEFT JOIN task_results r ON r.job_id = j.id WHERE j.id = ?1";
        let found = self.0.query(sql, [text(id)]).await?.rows.into_iter().next();
        let Some(row) = found else { return Ok(None) };
        let sql = "SELECT name FROM artifacts WHERE job_id = ?1 ORDER BY name";
        let artifacts = self.0.query(sql, [text(id)]).await?.rows;
        let artifacts = artifacts.iter().map(|row| word(row, 0)).collect();
        let score = match row.get(4) {
            Some(Value::Real(score)) => Some(*score),
            _ => None,
        };
        let (receptor, ligand, status) = (word(&row, 1), word(&row, 2), word(&row, 3));
        Ok(Some(Job { id: word(&row, 0), receptor, ligand, status, score, artifacts, cached: false }))
    }

    /// Notes what became of a job; whether there is one that waited for it.
    pub(crate) async fn finish(&mut self, id: &str, outcome: &Outcome) -> Result<bool, StatementError> {
        self.0.execute("BEGIN", []).await?;
        let sql = "UPDATE docking_jobs SET status = 'done' WHERE id = ?1 AND status = 'queued'";
        if self.0.execute(sql, [text(id)]).await? == 0 {
            self.0.execute("ROLLBACK", []).await?;
            return Ok(false);
        }
        let sql = "INSERT INTO task_results (job_id, score, finished_at) VALUES (?1, ?2, ?3)";
        self.0.execute(sql, [text(id), Value::Real(outcome.score), now()]).await?;
        for (name, content) in &outcome.artifacts {
            let sql = "INSERT INTO artifacts (job_id, name, content) VALUES (?1, ?2, ?3)";
            self.0.execute(sql, [text(id), text(name), text(content)]).await?;
        }
        self.0.execute("COMMIT", []).await?;
        Ok(true)
    }

    async fn cached(&mut self, signature: &str) -> Result<Option<Job>, StatementError> {
        let sql = "SELECT job_id FROM input_signatures WHERE signature = ?1";
        let found = self.0.query(sql, [text(signature)]).await?;
        match found.rows.first() {
            None => Ok(None),
            Some(row) => {
                let job = self.get_by_id(&word(row, 0)).await?;
                Ok(job.map(|job| Job { cached: true, ..job }))
            }
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn now() -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Value::Integer(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn word(row: &[Value], at: usize) -> String {
    match row.get(at) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}
