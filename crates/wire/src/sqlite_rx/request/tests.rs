use super::*;
use proptest::prelude::*;
use rmpv::Value as Msgpack;

fn body(pairs: &[(&str, Msgpack)]) -> Vec<u8> {
    let map = Msgpack::Map(pairs.iter().map(|(k, v)| (Msgpack::from(*k), v.clone())).collect());
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, &map).expect("into memory");
    out
}

fn request(query: &str, params: Msgpack, many: bool, script: bool) -> Vec<u8> {
    body(&[
        ("client_id", "python@host_1".into()),
        ("query", query.into()),
        ("params", params),
        ("execute_many", many.into()),
        ("execute_script", script.into()),
        ("database_name", "user123".into()),
    ])
}

fn run(body: &[u8]) -> Result<Request, Fault> {
    match decode(body).expect("well formed").call {
        Call::Run(request) => request,
        Call::HealthCheck => panic!("no health check"),
    }
}

fn text_of(outcome: Result<impl std::fmt::Debug, Fault>) -> String {
    outcome.expect_err("a fault").text()
}

#[test]
fn the_flags_and_the_arguments_select_the_call() {
    let params =
        Msgpack::Array(vec![1.into(), "x".into(), Msgpack::Nil, true.into(), Msgpack::Binary(vec![0])]);
    let one = run(&request("q", params.clone(), false, false));
    let values = [
        Value::Integer(1),
        Value::Text("x".into()),
        Value::Null,
        Value::Integer(1),
        Value::Blob(vec![0].into()),
    ];
    assert_eq!(one, Ok(Request::execute_with("q", values)));
    assert_eq!(run(&request("q", Msgpack::Array(vec![]), true, false)), Ok(Request::execute("q")));
    assert_eq!(run(&request("q", params, true, true)), Ok(Request::script("q")));
    let rows = Msgpack::Array(vec![Msgpack::Array(vec![1.into()])]);
    let Ok(Request::Repeat { sets, .. }) = run(&request("q", rows, true, false)) else { panic!() };
    assert_eq!(sets, [Arguments::Positional(vec![Value::Integer(1)])]);
    let named = Msgpack::Map(vec![("a".into(), 1.5.into())]);
    let Ok(Request::Execute { arguments, .. }) = run(&request("q", named, false, false)) else { panic!() };
    assert_eq!(arguments, Arguments::Named(vec![("a".into(), Value::Real(1.5))]));
}

#[test]
fn health_is_asked_exactly_so() {
    let body = |query| decode(&request(query, Msgpack::Nil, false, false)).expect("well formed");
    assert_eq!(body("HEALTH_CHECK").call, Call::HealthCheck);
    assert_eq!(body("HEALTH_CHECK").database, "user123");
    assert!(matches!(body("HEALTH_CHECK;").call, Call::Run(Ok(_))));
}

#[test]
fn a_client_is_identified_by_a_text_that_is_not_empty() {
    let identified = |id: Msgpack| {
        let pairs = [("query", "q".into()), ("client_id", id)];
        decode(&body(&pairs)).expect("well formed").identified
    };
    assert!(identified("python@host_1".into()));
    assert!(identified("x".repeat(100_000).into()));
    for nobody in ["".into(), Msgpack::Nil, 7.into(), Msgpack::Binary(vec![1]), Msgpack::Array(vec![])] {
        assert!(!identified(nobody));
    }
    assert!(!decode(&body(&[("query", "q".into())])).expect("well formed").identified);
}

#[test]
fn missing_keys_and_wrong_types_are_told_as_python_tells_them() {
    assert_eq!(text_of(run(&body(&[("query", "x".into())]))), "KeyError: 'execute_many'");
    let flags = [("execute_many", Msgpack::from(false)), ("execute_script", Msgpack::from(false))];
    assert_eq!(text_of(run(&body(&flags))), "KeyError: 'params'");
    let message =
        text_of(run(&body(&[&flags[..], &[("params", Msgpack::Nil), ("query", 1.into())]].concat())));
    assert_eq!(message, "TypeError: execute() argument 1 must be str, not int");
    let message = text_of(run(&request("q", Msgpack::Array(vec![Msgpack::Array(vec![])]), false, false)));
    assert_eq!(message, "sqlite3.ProgrammingError: Error binding parameter 1: type 'list' is not supported");
    let message = text_of(run(&request("q", Msgpack::Array(vec![u64::MAX.into()]), false, false)));
    assert_eq!(message, "OverflowError: Python int too large to convert to SQLite INTEGER");
}

#[test]
fn names_that_are_no_text_are_told_as_the_router_tells_them() {
    let name = |name: Msgpack| text_of(decode(&body(&[("database_name", name)])));
    assert_eq!(name(1.into()), "Error processing request: object of type 'int' has no len()");
    assert_eq!(name(Msgpack::Array(vec![])), "Error processing request: unhashable type: 'list'");
    let bytes = name(Msgpack::Binary(vec![1]));
    assert_eq!(bytes, "Error processing request: cannot use a string pattern on a bytes-like object");
    assert_eq!(text_of(decode(&[0x90])), "Error processing request: 'list' object has no attribute 'get'");
    assert_eq!(text_of(decode(&[0x80, 0])), "Error processing request: unpack(b) received extra data.");
}

#[test]
fn bombs_are_refused_without_memory() {
    assert!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    assert!(decode(&[0xdf, 0xff, 0xff, 0xff, 0xff]).is_err());
    assert!(decode(&[0xc6, 0xff, 0xff, 0xff, 0xff]).is_err());
    let wide = [&[0x81, 0xa6][..], b"params", &[0xdd, 0, 0x40, 0, 0], &[0xc0; 0x40_0000]].concat();
    assert!(text_of(decode(&wide)).contains("more than 2000000 values"));
    let deep = decode(&[0x91; 100_000]);
    assert!(text_of(deep).contains("at most 32 levels"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _any = decode(&bytes);
    }
}
