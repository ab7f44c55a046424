//! What Python would make of a msgpack value: the protocol's rules are Python's.
use rmpv::ValueRef;

/// The name of its Python type.
pub(super) fn type_name(value: &ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Nil => "NoneType",
        ValueRef::Boolean(_) => "bool",
        ValueRef::Integer(_) => "int",
        ValueRef::F32(_) | ValueRef::F64(_) => "float",
        ValueRef::String(_) => "str",
        ValueRef::Binary(_) => "bytes",
        ValueRef::Array(_) => "list",
        ValueRef::Map(_) => "dict",
        ValueRef::Ext(..) => "ExtType",
    }
}

/// Its type as an error about arguments names it: `None` is called by its value.
pub(super) fn argument_type(value: &ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Nil => "None",
        value => type_name(value),
    }
}

/// Whether it counts as true.
pub(super) fn is_truthy(value: &ValueRef<'_>) -> bool {
    match value {
        ValueRef::Nil => false,
        ValueRef::Boolean(truth) => *truth,
        ValueRef::Integer(n) => n.as_i64() != Some(0),
        ValueRef::F32(x) => *x != 0.0,
        ValueRef::F64(x) => *x != 0.0,
        ValueRef::String(text) => !text.as_bytes().is_empty(),
        ValueRef::Binary(bytes) => !bytes.is_empty(),
        ValueRef::Array(items) => !items.is_empty(),
        ValueRef::Map(pairs) => !pairs.is_empty(),
        ValueRef::Ext(..) => true,
    }
}
