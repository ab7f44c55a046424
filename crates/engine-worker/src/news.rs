//! What is committed to a database that a worker runs, heard across.
//!
//! Invariant: the worker sends no more news than were asked for: so many at first, and one for each
//! that was heard.
use crate::channel::Channel;
use crate::codec::{Decoder, Encoder, Malformed};
use crate::link::{Link, unsent};
use crate::message::{Order, Report};
use crate::request::{decode_value, encode_value};
use futures::future::BoxFuture;
use rowhouse_engine::{Change, ChangeKind, EngineError, Listener, Listening, News, Untold};
use std::sync::Arc;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

/// Somebody listens to a worker's database, until this is dropped.
#[derive(Debug)]
struct Heard {
    channel: Arc<Channel>,
    serial: u32,
    /// Who hears.
    task: Option<AbortHandle>,
}

/// Has the worker tell of what is committed.
pub(crate) async fn listen(
    tasks: &TaskTracker,
    link: &Arc<Link>,
    listener: Arc<dyn Listener>,
) -> Result<Box<dyn Listening>, EngineError> {
    let channel = Arc::new(Channel::open(link));
    let serial = channel.begin();
    channel.send(serial, &Order::Listen).map_err(unsent)?;
    // From here on it is taken back when it is dropped.
    let mut heard = Heard { channel: channel.clone(), serial, task: None };
    match channel.next().await {
        Some(Report::Answer(answer)) => drop(answer?),
        Some(_) => {
            link.break_off("it answered something else");
            return Err(EngineError::ProcessEnded);
        }
        None => return Err(EngineError::ProcessEnded),
    }
    let hearing = tasks.spawn(async move {
        while let Some(report) = channel.next().await {
            let Report::News(news) = report else {
                return channel.link().break_off("it told something else");
            };
            listener.hear(news);
            if channel.send(serial, &Order::More { chunks: 1 }).is_err() {
                return;
            }
        }
    });
    heard.task = Some(hearing.abort_handle());
    Ok(Box::new(heard))
}

// === impl Heard ===

impl Listening for Heard {
    fn look(&self) -> BoxFuture<'_, ()> {
        // Without a worker nobody writes.
        let _gone = self.channel.send(self.serial, &Order::Look);
        Box::pin(std::future::ready(()))
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let _gone = self.channel.send(self.serial, &Order::Forget);
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

pub(crate) fn encode_news(out: &mut Encoder, news: &News) {
    match news {
        News::Committed(changes) => {
            out.u8(0);
            out.count(changes.len());
            changes.iter().for_each(|change| encode_change(out, change));
        }
        News::Gap(untold) => {
            out.u8(1);
            out.u8(match untold {
                Untold::TooMuch => 0,
                Untold::Schema => 1,
                Untold::Elsewhere => 2,
                Untold::Unreadable => 3,
                Untold::Overrun => 4,
            });
        }
    }
}

pub(crate) fn decode_news(from: &mut Decoder<'_>) -> Result<News, Malformed> {
    Ok(match from.u8()? {
        0 => {
            // Those that follow each other are of the same table, as a rule: its names are kept once.
            let mut last: Option<(Arc<str>, Arc<[String]>)> = None;
            News::Committed(from.list(1, |from| decode_change(from, &mut last))?)
        }
        1 => News::Gap(match from.u8()? {
            0 => Untold::TooMuch,
            1 => Untold::Schema,
            2 => Untold::Elsewhere,
            3 => Untold::Unreadable,
            4 => Untold::Overrun,
            _ => return Err(Malformed),
        }),
        _ => return Err(Malformed),
    })
}

fn encode_change(out: &mut Encoder, change: &Change) {
    let Change { kind, table, columns, row } = change;
    out.u8(match kind {
        ChangeKind::Insert => 0,
        ChangeKind::Update => 1,
        ChangeKind::Delete => 2,
    });
    out.text(table);
    out.count(columns.len());
    columns.iter().for_each(|column| out.text(column));
    out.count(row.len());
    row.iter().for_each(|value| encode_value(out, value));
}

fn decode_change(
    from: &mut Decoder<'_>,
    last: &mut Option<(Arc<str>, Arc<[String]>)>,
) -> Result<Change, Malformed> {
    let kind = match from.u8()? {
        0 => ChangeKind::Insert,
        1 => ChangeKind::Update,
        2 => ChangeKind::Delete,
        _ => return Err(Malformed),
    };
    let table = from.text()?;
    let columns = from.list(8, Decoder::text)?;
    let same = last.as_ref().filter(|(known, names)| **known == *table && names.iter().eq(columns.iter()));
    let (table, columns) = match same {
        Some(known) => known.clone(),
        None => (table.into(), columns.iter().map(|&name| name.to_owned()).collect()),
    };
    *last = Some((table.clone(), columns.clone()));
    let row: Box<[_]> = from.list(1, decode_value)?.into();
    if row.len() != columns.len() {
        return Err(Malformed);
    }
    Ok(Change { kind, table, columns, row })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowhouse_types::Value;

    fn crossed(news: &News) -> Result<News, Malformed> {
        let mut out = Encoder::default();
        encode_news(&mut out, news);
        let mut from = Decoder(&out.0);
        let decoded = decode_news(&mut from)?;
        from.end()?;
        Ok(decoded)
    }

    #[test]
    fn news_arrive_as_they_were() {
        let change = |kind, table: &str, row: &[Value]| Change {
            kind,
            table: table.into(),
            columns: (0..row.len()).map(|at| format!("c{at}")).collect(),
            row: row.into(),
        };
        let values =
            [Value::Null, Value::Integer(-1), Value::Real(0.5), Value::Text("é\0".to_owned())].to_vec();
        let news = News::Committed(vec![
            change(ChangeKind::Insert, "t", &values),
            change(ChangeKind::Update, "t", &values[..2]),
            change(ChangeKind::Delete, "u", &[Value::Blob(vec![0, 255].into())]),
        ]);
        assert_eq!(crossed(&news).unwrap(), news);
        for untold in
            [Untold::TooMuch, Untold::Schema, Untold::Elsewhere, Untold::Unreadable, Untold::Overrun]
        {
            assert_eq!(crossed(&News::Gap(untold)).unwrap(), News::Gap(untold));
        }
    }

    #[test]
    fn a_row_of_another_width_than_its_columns_is_refused() {
        let change = Change {
            kind: ChangeKind::Insert,
            table: "t".into(),
            columns: ["a".to_owned()].into(),
            row: Box::new([Value::Null, Value::Null]),
        };
        assert_eq!(crossed(&News::Committed(vec![change])), Err(Malformed));
    }
}
