//! The write-ahead log stays short.
use crate::support::Files;
use futures::future::join_all;
use rowhouse_engine::conformance::{integer, opened, query, run, unlimited};
use rowhouse_types::Request;
use std::sync::atomic::{AtomicBool, Ordering};

/// Readers that never leave a gap keep SQLite from beginning its log anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_without_a_gap_do_not_let_the_log_grow() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let mut writer = database.connect().await.unwrap();
    query(&mut *writer, "CREATE TABLE t (n, v)").await;
    let fill = "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 4000) SELECT x, randomblob(100) FROM c";
    query(&mut *writer, fill).await;
    let done = AtomicBool::new(false);
    let readers = join_all((0..6).map(async |_| {
        let mut session = database.connect().await.unwrap();
        while !done.load(Ordering::SeqCst) {
            integer(&mut *session, "SELECT count(*) FROM t WHERE v > x'00'").await;
        }
    }));
    let writes = async {
        let mut most = 0;
        for n in 0..300 {
            let request =
                Request::execute(format!("UPDATE t SET v = randomblob(100) WHERE n % 100 = {}", n % 100));
            run(&mut *writer, request, unlimited()).await.unwrap();
            most = most.max(std::fs::metadata(files.path("tenant.db-wal")).unwrap().len());
        }
        done.store(true, Ordering::SeqCst);
        most
    };
    let (_, most) = futures::join!(readers, writes);
    // Without a gap there would be all of them: some forty pages a change.
    assert!(most < 6_000 * 4_120, "the log grew to {} pages", most / 4_120);
}
