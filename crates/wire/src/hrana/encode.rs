//! Requests to bytes, in either encoding: what a client sends.
use super::Encoding;
use super::condition::Condition;
use super::frame::Out;
use super::request::{
    Batch, ClientMessage, CursorRequest, PipelineRequest, SocketRequest, Sql, Statement, Step, StreamRequest,
    Work,
};
use super::rules;
use super::value::{put_json, put_protobuf};
use crate::json::{put_integer, put_str, put_unsigned};
use rowhouse_types::Value;

/// Encodes the body of a pipeline.
pub fn encode_pipeline(request: &PipelineRequest, encoding: Encoding) -> Vec<u8> {
    let mut out = Out::new(encoding);
    if !out.is_json() {
        out.optional_field(1, request.baton.as_deref());
        for request in &request.requests {
            let message = out.open(2);
            out.stream_request(request);
            out.close(message);
        }
        return out.bytes;
    }
    out.raw("{");
    out.baton(request.baton.as_deref());
    out.key("requests");
    out.list(&request.requests, Out::stream_request);
    out.raw("}");
    out.bytes
}

/// Encodes the body of a cursor.
pub fn encode_cursor(request: &CursorRequest, encoding: Encoding) -> Vec<u8> {
    let mut out = Out::new(encoding);
    if out.is_json() {
        out.raw("{");
        out.baton(request.baton.as_deref());
    } else {
        out.optional_field(1, request.baton.as_deref());
    }
    out.batch_member(2, &request.batch);
    out.end();
    out.bytes
}

/// Encodes a message of a WebSocket client's.
pub fn encode_message(message: &ClientMessage, encoding: Encoding) -> Vec<u8> {
    let mut out = Out::new(encoding);
    match (message, out.is_json()) {
        (ClientMessage::Hello { jwt }, true) => {
            out.raw("{\"type\":\"hello\",\"jwt\":");
            out.optional_str(jwt.as_deref());
            out.raw("}");
        }
        (ClientMessage::Hello { jwt }, false) => {
            let message = out.open(1);
            out.optional_field(1, jwt.as_deref());
            out.close(message);
        }
        (ClientMessage::Request { request_id, request }, true) => {
            out.raw("{\"type\":\"request\"");
            out.number_member("request_id", *request_id);
            out.key("request");
            out.socket_request(request);
            out.raw("}");
        }
        (ClientMessage::Request { request_id, request }, false) => {
            let message = out.open(2);
            out.varint_field(1, i64::from(*request_id) as u64);
            out.socket_request(request);
            out.close(message);
        }
    }
    out.bytes
}

// === impl Out ===

/// What of these is JSON is a whole object; what is protobuf is the fields of a message.
impl Out {
    fn stream_request(&mut self, request: &StreamRequest) {
        match request {
            StreamRequest::Close => self.typed("close", 1, |_| {}),
            StreamRequest::StoreSql { sql_id, sql } => {
                self.typed("store_sql", 6, |out| out.stored(*sql_id, sql));
            }
            StreamRequest::CloseSql { sql_id } => {
                self.typed("close_sql", 7, |out| out.id("sql_id", 1, *sql_id));
            }
            StreamRequest::Work(Work::Execute(statement)) => {
                self.typed("execute", 2, |out| out.statement_member(1, statement));
            }
            StreamRequest::Work(Work::Batch(batch)) => {
                self.typed("batch", 3, |out| out.batch_member(1, batch));
            }
            StreamRequest::Work(Work::Sequence(sql)) => self.typed("sequence", 4, |out| out.sql(1, sql)),
            StreamRequest::Work(Work::Describe(sql)) => self.typed("describe", 5, |out| out.sql(1, sql)),
            StreamRequest::Work(Work::GetAutocommit) => self.typed("get_autocommit", 8, |_| {}),
        }
    }

    fn socket_request(&mut self, request: &SocketRequest) {
        use SocketRequest as Request;
        match request {
            Request::OpenStream { stream_id } => {
                self.typed("open_stream", 2, |out| out.id("stream_id", 1, *stream_id));
            }
            Request::CloseStream { stream_id } => {
                self.typed("close_stream", 3, |out| out.id("stream_id", 1, *stream_id));
            }
            Request::Work { stream_id, work } => self.socket_work(*stream_id, work),
            Request::OpenCursor { stream_id, cursor_id, batch } => self.typed("open_cursor", 6, |out| {
                out.id("stream_id", 1, *stream_id);
                out.id("cursor_id", 2, *cursor_id);
                out.batch_member(3, batch);
            }),
            Request::CloseCursor { cursor_id } => {
                self.typed("close_cursor", 7, |out| out.id("cursor_id", 1, *cursor_id));
            }
            Request::FetchCursor { cursor_id, max_count } => self.typed("fetch_cursor", 8, |out| {
                out.id("cursor_id", 1, *cursor_id);
                if out.is_json() {
                    out.key("max_count");
                    return put_unsigned(&mut out.bytes, (*max_count).into());
                }
                out.varint_field(2, (*max_count).into());
            }),
            Request::StoreSql { sql_id, sql } => self.typed("store_sql", 11, |out| out.stored(*sql_id, sql)),
            Request::CloseSql { sql_id } => self.typed("close_sql", 12, |out| out.id("sql_id", 1, *sql_id)),
        }
    }

    fn socket_work(&mut self, stream_id: i32, work: &Work) {
        let (name, tag) = match work {
            Work::Execute(_) => ("execute", 4),
            Work::Batch(_) => ("batch", 5),
            Work::Sequence(_) => ("sequence", 9),
            Work::Describe(_) => ("describe", 10),
            Work::GetAutocommit => ("get_autocommit", 13),
        };
        self.typed(name, tag, |out| {
            out.id("stream_id", 1, stream_id);
            match work {
                Work::Execute(statement) => out.statement_member(2, statement),
                Work::Batch(batch) => out.batch_member(2, batch),
                Work::Sequence(sql) | Work::Describe(sql) => out.sql(2, sql),
                Work::GetAutocommit => {}
            }
        });
    }

    /// An object of this type, or the message in this field.
    fn typed(&mut self, name: &str, tag: u8, members: impl FnOnce(&mut Self)) {
        if self.is_json() {
            self.raw("{\"type\":");
            put_str(&mut self.bytes, name);
            members(self);
            return self.raw("}");
        }
        let message = self.open(tag);
        members(self);
        self.close(message);
    }

    fn id(&mut self, name: &str, tag: u8, id: i32) {
        if self.is_json() {
            return self.number_member(name, id);
        }
        self.varint_field(tag, i64::from(id) as u64);
    }

    fn stored(&mut self, sql_id: i32, sql: &str) {
        self.id("sql_id", 1, sql_id);
        self.sql_text(2, sql);
    }

    /// A text in field `tag`, or the number of one in the field after.
    fn sql(&mut self, tag: u8, sql: &Sql) {
        match sql {
            Sql::Text(text) => self.sql_text(tag, text),
            Sql::Stored(id) => self.id("sql_id", tag + 1, *id),
        }
    }

    fn sql_text(&mut self, tag: u8, text: &str) {
        if self.is_json() {
            self.key("sql");
            return put_str(&mut self.bytes, text);
        }
        self.bytes_field(tag, text.as_bytes());
    }

    fn statement_member(&mut self, tag: u8, statement: &Statement) {
        self.member("stmt", tag, |out| out.statement(statement));
    }

    fn batch_member(&mut self, tag: u8, batch: &Batch) {
        self.member("batch", tag, |out| {
            if out.is_json() {
                out.key("steps");
                return out.list(&batch.steps, Out::step);
            }
            batch.steps.iter().for_each(|step| {
                let message = out.open(1);
                out.step(step);
                out.close(message);
            });
        });
    }

    fn step(&mut self, step: &Step) {
        if self.is_json() {
            self.raw("{");
        }
        if let Some(condition) = &step.condition {
            if self.is_json() {
                self.key("condition");
                self.condition(condition);
            } else {
                let message = self.open(1);
                self.condition(condition);
                self.close(message);
            }
        }
        self.statement_member(2, &step.statement);
        self.end();
    }

    fn condition(&mut self, condition: &Condition) {
        let several = |out: &mut Self, name, tag, conditions: &[Condition]| {
            out.typed(name, tag, |out| {
                if out.is_json() {
                    out.key("conds");
                    return out.list(conditions, Out::condition);
                }
                for condition in conditions {
                    let message = out.open(1);
                    out.condition(condition);
                    out.close(message);
                }
            });
        };
        match condition {
            Condition::Ok(step) => self.on_step("ok", 1, *step),
            Condition::Error(step) => self.on_step("error", 2, *step),
            Condition::Not(other) if self.is_json() => self.typed("not", 3, |out| {
                out.key("cond");
                out.condition(other);
            }),
            Condition::Not(other) => self.typed("not", 3, |out| out.condition(other)),
            Condition::And(all) => several(self, "and", 4, all),
            Condition::Or(any) => several(self, "or", 5, any),
            Condition::IsAutocommit => self.typed("is_autocommit", 6, |_| {}),
        }
    }

    fn on_step(&mut self, name: &str, tag: u8, step: u32) {
        if !self.is_json() {
            return self.varint_field(tag, step.into());
        }
        self.typed(name, tag, |out| {
            out.key("step");
            put_unsigned(&mut out.bytes, step.into());
        });
    }

    fn statement(&mut self, statement: &Statement) {
        let Statement { sql, args, named_args, want_rows } = statement;
        self.sql(1, sql);
        if self.is_json() {
            self.key("args");
            self.list(args, |out, value| put_json(&mut out.bytes, value.as_ref()));
            self.key("named_args");
            self.list(named_args, Out::named_argument);
            self.key("want_rows");
            return self.raw(if *want_rows { "true" } else { "false" });
        }
        args.iter().for_each(|value| put_protobuf(&mut self.bytes, 3, value.as_ref()));
        for argument in named_args {
            let message = self.open(4);
            self.named_argument(argument);
            self.close(message);
        }
        self.varint_field(5, (*want_rows).into());
    }

    fn named_argument(&mut self, (name, value): &(String, Value)) {
        let name = rules::spelled(name);
        if self.is_json() {
            self.raw("{\"name\":");
            put_str(&mut self.bytes, &name);
            self.key("value");
            put_json(&mut self.bytes, value.as_ref());
            return self.raw("}");
        }
        self.bytes_field(1, name.as_bytes());
        put_protobuf(&mut self.bytes, 2, value.as_ref());
    }

    // === members of objects, and fields ===

    fn member(&mut self, name: &str, tag: u8, content: impl FnOnce(&mut Self)) {
        if self.is_json() {
            self.key(name);
            self.raw("{");
            content(self);
            return self.raw("}");
        }
        let message = self.open(tag);
        content(self);
        self.close(message);
    }

    fn list<T>(&mut self, items: &[T], each: impl Fn(&mut Self, &T)) {
        self.raw("[");
        for (at, item) in items.iter().enumerate() {
            self.raw(if at > 0 { "," } else { "" });
            each(self, item);
        }
        self.raw("]");
    }

    fn baton(&mut self, baton: Option<&str>) {
        self.key("baton");
        self.optional_str(baton);
    }

    fn number_member(&mut self, name: &str, number: i32) {
        self.key(name);
        put_integer(&mut self.bytes, number.into());
    }

    fn optional_field(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.bytes_field(tag, text.as_bytes());
        }
    }

    /// Ends an object.
    fn end(&mut self) {
        if self.is_json() {
            self.raw("}");
        }
    }
}
