-- Which job has had an input before: asked for again, it is not run again.
CREATE TABLE input_signatures (
    signature TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES docking_jobs (id)
);
