//! Who listens is told of what was committed, and of nothing else.
use super::*;
use crate::{Change, ChangeKind, Listener, News, Untold};
use rowhouse_types::Value::{Integer, Text};
use std::sync::Mutex;

/// Keeps what it hears.
#[derive(Debug, Default)]
pub struct Ears(Mutex<Vec<News>>);

impl Listener for Ears {
    fn hear(&self, news: News) {
        self.0.lock().expect("never panics while locked").push(news);
    }
}

impl Ears {
    /// What it has heard since it was asked last.
    pub fn heard(&self) -> Vec<News> {
        std::mem::take(&mut *self.0.lock().expect("never panics while locked"))
    }

    /// What it has heard since it was asked last, once it has heard of so many: what another process
    /// says may take a moment.
    ///
    /// # Panics
    ///
    /// When it hears of more, or of no more for long.
    pub async fn hears(&self, count: usize) -> Vec<News> {
        let until = Instant::now() + Duration::from_secs(60);
        let mut heard = self.heard();
        while heard.len() < count {
            assert!(Instant::now() < until, "{heard:?}");
            tokio::task::yield_now().await;
            heard.extend(self.heard());
        }
        assert_eq!(heard.len(), count, "{heard:?}");
        heard
    }
}

/// A change, as a tuple: how, the table, and the row.
pub fn told(change: &Change) -> (ChangeKind, &str, &[Value]) {
    assert_eq!(change.columns.len(), change.row.len());
    (change.kind, &change.table, &change.row)
}

fn changes(news: &News) -> Vec<(ChangeKind, &str, &[Value])> {
    match news {
        News::Committed(changes) => changes.iter().map(told).collect(),
        News::Gap(untold) => panic!("a gap: {untold:?}"),
    }
}

fn text(text: &str) -> Value {
    Text(text.to_owned())
}

/// Each transaction is told as one, when it is acknowledged, in order.
pub async fn what_is_committed_is_told_in_order(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut one = database.connect().await.expect("connects");
    let mut two = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT)").await;
    query(&mut *one, "INSERT INTO t VALUES (1, 'before')").await;
    let ears = Arc::new(Ears::default());
    let listening = database.listen(ears.clone()).await.expect("listens");
    query(&mut *one, "INSERT INTO t VALUES (2, 'two')").await;
    query(&mut *two, "BEGIN").await;
    query(&mut *two, "UPDATE t SET word = 'after' WHERE id = 1").await;
    query(&mut *two, "DELETE FROM t WHERE id = 2").await;
    query(&mut *two, "INSERT INTO t VALUES (3, 'three')").await;
    query(&mut *one, "SELECT * FROM t").await;
    query(&mut *two, "COMMIT").await;
    query(&mut *one, "DELETE FROM t").await;
    let heard = ears.hears(3).await;
    assert_eq!(changes(&heard[0]), [(ChangeKind::Insert, "t", &[Integer(2), text("two")][..])]);
    let expected = [
        (ChangeKind::Update, "t", &[Integer(1), text("after")][..]),
        (ChangeKind::Delete, "t", &[Integer(2), text("two")][..]),
        (ChangeKind::Insert, "t", &[Integer(3), text("three")][..]),
    ];
    assert_eq!(changes(&heard[1]), expected);
    let expected = [
        (ChangeKind::Delete, "t", &[Integer(1), text("after")][..]),
        (ChangeKind::Delete, "t", &[Integer(3), text("three")][..]),
    ];
    assert_eq!(changes(&heard[2]), expected);
    drop(listening);
}

/// What comes to nothing is nothing.
pub async fn what_is_undone_is_not_told(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut one = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)").await;
    query(&mut *one, "INSERT INTO t VALUES (1, 1)").await;
    let ears = Arc::new(Ears::default());
    let _listening = database.listen(ears.clone()).await.expect("listens");
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "INSERT INTO t VALUES (2, 2)").await;
    query(&mut *one, "ROLLBACK").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "SAVEPOINT s").await;
    query(&mut *one, "DELETE FROM t").await;
    query(&mut *one, "ROLLBACK TO s").await;
    query(&mut *one, "INSERT INTO t VALUES (3, 3)").await;
    query(&mut *one, "DELETE FROM t WHERE id = 3").await;
    query(&mut *one, "UPDATE t SET n = 9 WHERE id = 1").await;
    query(&mut *one, "UPDATE t SET n = 1 WHERE id = 1").await;
    failure(&mut *one, "INSERT INTO t VALUES (7, 7), (1, 1)", unlimited()).await;
    query(&mut *one, "INSERT INTO t VALUES (4, 4)").await;
    query(&mut *one, "COMMIT").await;
    let heard = ears.hears(1).await;
    assert_eq!(changes(&heard[0]), [(ChangeKind::Insert, "t", &[Integer(4), Integer(4)][..])]);
}

/// A gap tells that something was not told; afterwards it goes on.
pub async fn what_cannot_be_told_is_a_gap(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut one = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    let ears = Arc::new(Ears::default());
    let _listening = database.listen(ears.clone()).await.expect("listens");
    query(&mut *one, "ALTER TABLE t ADD COLUMN n INTEGER").await;
    query(&mut *one, "INSERT INTO t VALUES (1, 2)").await;
    let many = format!("INSERT INTO t (id) {}", harness.count_to(20_000).replace("SELECT 1", "SELECT 2"));
    query(&mut *one, &many).await;
    query(&mut *one, "DELETE FROM t WHERE id = 1").await;
    let heard = ears.hears(4).await;
    assert_eq!(heard[0], News::Gap(Untold::Schema));
    assert_eq!(changes(&heard[1]), [(ChangeKind::Insert, "t", &[Integer(1), Integer(2)][..])]);
    assert_eq!(heard[2], News::Gap(Untold::TooMuch));
    assert_eq!(changes(&heard[3]), [(ChangeKind::Delete, "t", &[Integer(1), Integer(2)][..])]);
}

/// Who does not listen any more hears nothing, and neither does who was followed by another.
pub async fn one_listens_at_a_time(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut one = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    let (former, latter) = (Arc::new(Ears::default()), Arc::new(Ears::default()));
    let before = database.listen(former.clone()).await.expect("listens");
    let after = database.listen(latter.clone()).await.expect("listens");
    drop(before);
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    latter.hears(1).await;
    drop(after);
    query(&mut *one, "INSERT INTO t VALUES (2)").await;
    let again = database.listen(former.clone()).await.expect("listens");
    query(&mut *one, "INSERT INTO t VALUES (3)").await;
    let heard = former.hears(1).await;
    assert_eq!(changes(&heard[0]), [(ChangeKind::Insert, "t", &[Integer(3)][..])]);
    assert!(latter.heard().is_empty());
    drop(again);
    database.close().await.expect("closes");
    assert!(matches!(database.listen(latter).await, Err(EngineError::Closed)));
}
