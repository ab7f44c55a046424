-- What an organization has docked. The same SQL in SQLite and in PostgreSQL.
CREATE TABLE docking_jobs (
    id TEXT PRIMARY KEY,
    receptor TEXT NOT NULL,
    ligand TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE task_results (
    job_id TEXT PRIMARY KEY REFERENCES docking_jobs (id),
    score DOUBLE PRECISION NOT NULL,
    finished_at BIGINT NOT NULL
);

CREATE TABLE artifacts (
    job_id TEXT NOT NULL REFERENCES docking_jobs (id),
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (job_id, name)
);
