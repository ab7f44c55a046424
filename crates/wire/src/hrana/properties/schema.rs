//! Answers in protobuf as trees, by the schema of the specification and by nothing of ours that writes.
use crate::base64::ANY;
use crate::protobuf::{Field, Message};
use base64::Engine as _;
use serde_json::{Map, Value as Tree, json};

fn fields<'a>(message: Message<'a>) -> Vec<Field<'a>> {
    let mut fields = Vec::new();
    message
        .fields(|field| {
            fields.push(field);
            Ok(())
        })
        .expect("well formed");
    fields
}

fn sub(field: Field<'_>) -> Message<'_> {
    field.message().expect("a message")
}

fn text(field: Field<'_>) -> Tree {
    json!(field.text().expect("text"))
}

/// The one field of a `oneof`.
fn only(message: Message<'_>) -> Field<'_> {
    match fields(message)[..] {
        [field] => field,
        ref others => panic!("{} fields instead of one", others.len()),
    }
}

pub(super) fn delimited(bytes: &[u8]) -> Vec<Message<'_>> {
    let mut rest = bytes;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let (mut len, mut shift) = (0, 0);
        loop {
            let byte = rest[0];
            rest = &rest[1..];
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        messages.push(Message::new(&rest[..len]));
        rest = &rest[len..];
    }
    messages
}

pub(super) fn pipeline(message: Message<'_>) -> Tree {
    let mut tree = json!({"baton": null, "base_url": null, "results": []});
    for field in fields(message) {
        match field.tag {
            1 => tree["baton"] = text(field),
            2 => tree["base_url"] = text(field),
            3 => tree["results"].as_array_mut().expect("an array").push(result(sub(field))),
            tag => panic!("field {tag}"),
        }
    }
    tree
}

pub(super) fn head(message: Message<'_>) -> Tree {
    let mut tree = pipeline(message);
    tree.as_object_mut().expect("an object").remove("results");
    tree
}

fn result(message: Message<'_>) -> Tree {
    let field = only(message);
    match field.tag {
        1 => json!({"type": "ok", "response": response(sub(field))}),
        _ => json!({"type": "error", "error": error(sub(field))}),
    }
}

fn response(message: Message<'_>) -> Tree {
    let field = only(message);
    let names =
        ["close", "execute", "batch", "sequence", "describe", "store_sql", "close_sql", "get_autocommit"];
    let mut tree = json!({"type": names[field.tag as usize - 1]});
    let inner = sub(field);
    match field.tag {
        2 => tree["result"] = statement(sub(only(inner))),
        3 => tree["result"] = batch(sub(only(inner))),
        5 => tree["result"] = described(sub(only(inner))),
        8 => tree["is_autocommit"] = json!(only(inner).bool().expect("a boolean")),
        _ => assert!(fields(inner).is_empty()),
    }
    tree
}

fn error(message: Message<'_>) -> Tree {
    let mut tree = Map::new();
    for field in fields(message) {
        tree.insert(["message", "code"][field.tag as usize - 1].to_owned(), text(field));
    }
    tree.into()
}

fn statement(message: Message<'_>) -> Tree {
    let mut tree = json!({"cols": [], "rows": [], "affected_row_count": 0, "last_insert_rowid": null,
        "rows_read": 0, "rows_written": 0, "query_duration_ms": 0.0});
    let names = ["cols", "rows", "affected_row_count", "last_insert_rowid", "", "rows_read", "rows_written"];
    for field in fields(message) {
        match field.tag {
            1 => tree["cols"].as_array_mut().expect("an array").push(column(sub(field))),
            2 => tree["rows"].as_array_mut().expect("an array").push(row(sub(field))),
            4 => tree["last_insert_rowid"] = json!(field.sint64().expect("a number").to_string()),
            8 => tree["query_duration_ms"] = json!(field.double().expect("a double")),
            tag => tree[names[tag as usize - 1]] = json!(field.uint64().expect("a number")),
        }
    }
    tree
}

fn column(message: Message<'_>) -> Tree {
    let mut tree = json!({"name": null, "decltype": null});
    for field in fields(message) {
        tree[["name", "decltype"][field.tag as usize - 1]] = text(field);
    }
    tree
}

fn row(message: Message<'_>) -> Tree {
    fields(message).into_iter().map(|field| value(sub(field))).collect()
}

fn value(message: Message<'_>) -> Tree {
    let field = only(message);
    match field.tag {
        1 => json!({"type": "null"}),
        2 => json!({"type": "integer", "value": field.sint64().expect("a number").to_string()}),
        3 => json!({"type": "float", "value": field.double().expect("a double")}),
        4 => json!({"type": "text", "value": text(field)}),
        _ => json!({"type": "blob", "base64": ANY.encode(field.bytes().expect("bytes"))}),
    }
}

fn batch(message: Message<'_>) -> Tree {
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for field in fields(message) {
        let [key, value] = fields(sub(field))[..] else { panic!("a key and a value") };
        let at = key.uint32().expect("a number") as usize;
        let (into, tree) = match field.tag {
            1 => (&mut results, statement(sub(value))),
            _ => (&mut errors, error(sub(value))),
        };
        into.push((at, tree));
    }
    // How many steps there were, protobuf does not say: those skipped last are not there.
    json!({"step_results": results, "step_errors": errors})
}

fn described(message: Message<'_>) -> Tree {
    let mut tree = json!({"params": [], "cols": []});
    for field in fields(message) {
        match field.tag {
            1 => {
                let name = fields(sub(field)).into_iter().next().map(text);
                tree["params"].as_array_mut().expect("an array").push(json!({"name": name}));
            }
            2 => tree["cols"].as_array_mut().expect("an array").push(column(sub(field))),
            tag => {
                tree[["is_explain", "is_readonly"][tag as usize - 3]] =
                    json!(field.bool().expect("a boolean"));
            }
        }
    }
    tree
}

pub(super) fn entry(message: Message<'_>) -> Tree {
    let field = only(message);
    let inner = sub(field);
    match field.tag {
        1 => {
            let mut tree = json!({"type": "step_begin", "cols": []});
            for field in fields(inner) {
                match field.tag {
                    1 => tree["step"] = json!(field.uint32().expect("a number")),
                    _ => tree["cols"].as_array_mut().expect("an array").push(column(sub(field))),
                }
            }
            tree
        }
        2 => {
            let mut tree = json!({"type": "step_end", "last_insert_rowid": null});
            for field in fields(inner) {
                match field.tag {
                    1 => tree["affected_row_count"] = json!(field.uint64().expect("a number")),
                    _ => tree["last_insert_rowid"] = json!(field.sint64().expect("a number")),
                }
            }
            tree
        }
        3 => {
            let [step, failed] = fields(inner)[..] else { panic!("a step and an error") };
            let step = step.uint32().expect("a number");
            json!({"type": "step_error", "step": step, "error": error(sub(failed))})
        }
        4 => json!({"type": "row", "row": row(inner)}),
        _ => json!({"type": "error", "error": error(inner)}),
    }
}

/// The entries of an answer over WebSocket to request -7 that ends its cursor.
pub(super) fn fetched(message: Message<'_>) -> Vec<Tree> {
    let [id, response] = fields(sub(only(message)))[..] else { panic!("an id and a response") };
    assert_eq!((id.int32().expect("a number"), response.tag), (-7, 8));
    let (mut entries, mut done) = (Vec::new(), false);
    for field in fields(sub(response)) {
        match field.tag {
            1 => entries.push(entry(sub(field))),
            _ => done = field.bool().expect("a boolean"),
        }
    }
    assert!(done);
    entries
}
