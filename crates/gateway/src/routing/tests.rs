//! What requests say, and where they go: one table, and what holds for all of them.
use super::*;
use proptest::prelude::*;
use rowhouse_types::{DatabaseName, ErrorCode, Reportable, Target};

/// A request: what its host, path, headers `x-namespace` and `x-org-id`, and token say.
type Says<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

fn named(name: &str) -> DatabaseName {
    name.parse().expect("a name")
}

fn said(value: &str) -> Said<'_> {
    Said::by((!value.is_empty()).then_some(value.as_bytes()))
}

/// `target prefix rest` of a request, or the code of what is wrong with it.
fn routed(router: &Router, (host, path, namespace, organization, claim): Says<'_>) -> String {
    let claim = (!claim.is_empty()).then(|| named(claim));
    let facts = Facts {
        parameter: None,
        host: said(host),
        path,
        namespace: said(namespace),
        organization: said(organization),
        claim: claim.as_ref(),
    };
    match router.route(&facts) {
        Ok(Route { target, prefix, rest, .. }) => format!("{target} {prefix} {rest}"),
        Err(error) => error.code().to_string(),
    }
}

fn router(rules: &[Rule]) -> Router {
    let domains = ["example.com", "eu.example.com."].map(|domain| domain.parse().expect("a domain"));
    Router::new(rules, domains).expect("valid rules")
}

#[test]
fn a_request_goes_where_all_that_speaks_says() {
    let table: &[(Says<'_>, &str)] = &[
        // Nobody speaks.
        (("", "/v2/pipeline", "", "", ""), "  /v2/pipeline"),
        (("localhost:9090", "/v2/pipeline", "", "", ""), "  /v2/pipeline"),
        (("example.com", "/", "", "", ""), "  /"),
        (("eu.example.com", "/", "", "", ""), "  /"),
        (("127.0.0.1:9090", "/v2", "", "", ""), "  /v2"),
        (("[::1]:9090", "/v2", "", "", ""), "  /v2"),
        (("[::1]", "/v2", "", "", ""), "  /v2"),
        (("other.org", "/v2", "", "", ""), "  /v2"),
        (("notexample.com", "/v2", "", "", ""), "  /v2"),
        (("", "/db", "", "", ""), "  /db"),
        (("", "/database/acme/v2", "", "", ""), "  /database/acme/v2"),
        (("", "//db/acme/v2", "", "", ""), "  //db/acme/v2"),
        // One does.
        (("", "/db/acme/v2/pipeline", "", "", ""), "acme /db/acme /v2/pipeline"),
        (("", "/dev/acme/v2/pipeline", "", "", ""), "acme /dev/acme /v2/pipeline"),
        (("", "/db/acme/", "", "", ""), "acme /db/acme /"),
        (("", "/db/acme", "", "", ""), "acme /db/acme /"),
        (("", "/db/%61cm%65/v2", "", "", ""), "acme /db/%61cm%65 /v2"),
        (("", "/db/acme/db/globex/v2", "", "", ""), "acme /db/acme /db/globex/v2"),
        (("", "/db/Acme/v2", "", "", ""), "Acme /db/Acme /v2"),
        (("acme.localhost:9090", "/v2", "", "", ""), "acme  /v2"),
        (("acme.localhost", "/v2", "", "", ""), "acme  /v2"),
        (("ACME.Example.COM.:443", "/v2", "", "", ""), "acme  /v2"),
        (("acme.eu.example.com", "/v2", "", "", ""), "acme  /v2"),
        (("", "/v2", "acme", "", ""), "acme  /v2"),
        (("", "/v2", "", "acme", ""), "acme  /v2"),
        (("", "/v2", "", "", "acme"), "acme  /v2"),
        // All say the same.
        (("acme.localhost:1", "/dev/acme/v2", "acme", "acme", "acme"), "acme /dev/acme /v2"),
        // They do not.
        (("globex.localhost", "/dev/acme/v2", "", "", ""), "route_conflict"),
        (("", "/dev/acme/v2", "globex", "", ""), "route_conflict"),
        (("", "/v2", "acme", "globex", ""), "route_conflict"),
        (("acme.localhost", "/v2", "", "globex", ""), "route_conflict"),
        (("", "/dev/Acme/v2", "acme", "", ""), "route_conflict"),
        (("", "/db/globex/v2", "", "", "acme"), "forbidden"),
        (("globex.example.com", "/v2", "", "", "acme"), "forbidden"),
        (("", "/v2", "globex", "", "acme"), "forbidden"),
        (("", "/v2", "", "globex", "acme"), "forbidden"),
        // What is said is no name.
        (("", "/db//v2", "", "", ""), "invalid_name"),
        (("", "/db/", "", "", ""), "invalid_name"),
        (("", "/db/../v2", "", "", ""), "invalid_name"),
        (("", "/db/%2e%2e/v2", "", "", ""), "invalid_name"),
        (("", "/db/a%2Fb/v2", "", "", ""), "invalid_name"),
        (("", "/db/a%252Fb/v2", "", "", ""), "invalid_name"),
        (("", "/db/a%00/v2", "", "", ""), "invalid_name"),
        (("", "/db/a%ff/v2", "", "", ""), "invalid_name"),
        (("", "/db/a%/v2", "", "", ""), "invalid_name"),
        (("", "/db/a%2/v2", "", "", ""), "invalid_name"),
        (("", "/db/NUL/v2", "", "", ""), "invalid_name"),
        (("a.b.localhost", "/v2", "", "", ""), "invalid_name"),
        ((".localhost", "/v2", "", "", ""), "invalid_name"),
        (("a..localhost", "/v2", "", "", ""), "invalid_name"),
        (("", "/v2", "acme, globex", "", ""), "invalid_name"),
        (("", "/v2", "", "../acme", ""), "invalid_name"),
        (("", "/v2", "", "é", ""), "invalid_name"),
        // The host is none.
        (("acme.localhost:x", "/v2", "", "", ""), "malformed_request"),
        (("acme.localhost:1:2", "/v2", "", "", ""), "malformed_request"),
        (("globex@acme.localhost", "/v2", "", "", ""), "malformed_request"),
        (("acme.localhost/", "/v2", "", "", ""), "malformed_request"),
        (("[::1", "/v2", "", "", ""), "malformed_request"),
        (("[::1].localhost", "/v2", "", "", ""), "malformed_request"),
        (("äcme.localhost", "/v2", "", "", ""), "malformed_request"),
    ];
    let router = router(&Rule::ALL);
    for &(request, expected) in table {
        assert_eq!(routed(&router, request), expected, "{request:?}");
    }
}

#[test]
fn only_the_rules_that_are_configured_are_read() {
    let all = ("globex.localhost", "/db/acme/v2", "initech", "umbrella", "hooli");
    let by = |rules: &[Rule]| routed(&router(rules), all);
    assert_eq!(by(&[Rule::Path]), "acme /db/acme /v2");
    assert_eq!(by(&[Rule::Subdomain]), "globex  /db/acme/v2");
    assert_eq!(by(&[Rule::Header]), "route_conflict");
    assert_eq!(by(&[Rule::Claim]), "hooli  /db/acme/v2");
    assert_eq!(by(&[Rule::Default]), "  /db/acme/v2");
    assert_eq!(by(&[Rule::Path, Rule::Claim]), "forbidden");
    let silent = ("localhost", "/v2", "", "", "");
    assert_eq!(routed(&router(&[Rule::Path, Rule::Header]), silent), "invalid_name");
    assert_eq!(routed(&router(&[Rule::Path, Rule::Default]), silent), "  /v2");
}

#[test]
fn the_first_rule_that_speaks_is_what_named_it() {
    let facts = Facts { host: said("acme.localhost"), ..Facts::of("/db/acme/v2") };
    let source = |rules: &[Rule]| router(rules).route(&facts).expect("a route").source;
    assert_eq!(source(&[Rule::Path, Rule::Subdomain]), Source::Path);
    assert_eq!(source(&[Rule::Subdomain, Rule::Path]), Source::Subdomain);
    assert_eq!(source(&[Rule::Header, Rule::Default]), Source::Default);
}

#[test]
fn what_is_said_twice_must_be_the_same() {
    let twice = |one: &'static str, other: &'static str| Said::by([one.as_bytes(), other.as_bytes()]);
    let target = |facts: Facts<'_>| {
        Router::default().route(&facts).map(|route| route.target).map_err(|error| error.code())
    };
    let same = Facts { namespace: twice("acme", "acme"), ..Facts::of("/v2") };
    assert_eq!(target(same), Ok(Target::Named(named("acme"))));
    for facts in [
        Facts { namespace: twice("acme", "globex"), ..Facts::of("/v2") },
        Facts { organization: twice("acme", ""), ..Facts::of("/v2") },
        Facts { host: twice("acme.localhost", "globex.localhost"), ..Facts::of("/v2") },
        // The third does not make the first two agree.
        Facts { namespace: Said::by([&b"a"[..], b"b", b"a"]), ..Facts::of("/v2") },
    ] {
        assert_eq!(target(facts), Err(ErrorCode::RouteConflict));
    }
    let empty = Facts { namespace: Said::This(b""), ..Facts::of("/v2") };
    assert_eq!(target(empty), Err(ErrorCode::InvalidName));
}

#[test]
fn rules_come_once_and_the_default_last() {
    let made = |rules: &[Rule]| Router::new(rules, []).map(|_| ());
    assert_eq!(made(&[]), Err(InvalidRules::None));
    assert_eq!(made(&[Rule::Path, Rule::Header, Rule::Path]), Err(InvalidRules::Twice(Rule::Path)));
    assert_eq!(made(&[Rule::Default, Rule::Path]), Err(InvalidRules::AfterDefault));
    assert_eq!(made(&[Rule::Default]), Ok(()));
    assert!(Rule::ALL.into_iter().all(|rule| Rule::of(rule.as_str()) == Some(rule)));
}

#[test]
fn domains_are_names_and_not_addresses() {
    for domain in ["example.com", "example.com.", "EXAMPLE.com", "internal", "a_b.c-d.e1"] {
        assert!(domain.parse::<Domain>().is_ok(), "{domain}");
    }
    for none in ["", ".", ".com", "a..b", "127.0.0.1", "[::1]", "a.b:1", "a/b", "é.com", "example.com.."] {
        assert!(none.parse::<Domain>().is_err(), "{none}");
    }
}

#[test]
fn what_a_stranger_reads_tells_what_to_do() {
    let facts = Facts { namespace: said("globex"), ..Facts::of("/db/acme/v2") };
    let error = Router::default().route(&facts).expect_err("a conflict");
    assert_eq!(error.public_message(), "the path and the header x-namespace name different databases");
    assert!(error.hint().is_some());
}

proptest! {
    /// Whatever comes: the path is never changed, and each part that is a name is the name of the route.
    #[test]
    fn no_part_of_a_request_is_overruled(
        host in prop_oneof!["[a-c]\\.localhost(:[0-9]{1,4})?", "\\PC{0,12}"],
        path in prop_oneof!["/(db|dev)/[a-c](/[a-z0-9/]{0,6})?", "/\\PC{0,12}"],
        namespace in prop::option::of(prop_oneof!["[a-c]", prop::collection::vec(any::<u8>(), 0..3)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())]),
        claim in prop::option::of("[a-c]"),
    ) {
        let claim = claim.as_deref().map(named);
        let facts = Facts {
            parameter: None,
            host: Said::This(host.as_bytes()),
            path: &path,
            namespace: namespace.as_ref().map_or(Said::Nothing, |text| Said::This(text.as_bytes())),
            organization: Said::Nothing,
            claim: claim.as_ref(),
        };
        if let Ok(route) = Router::default().route(&facts) {
            let whole = format!("{}{}", route.prefix, route.rest);
            let is_whole = whole == path || whole.strip_suffix('/') == Some(&path);
            prop_assert!(is_whole);
            let host = host.split(':').next().unwrap_or("");
            let speaks = [
                host.strip_suffix(".localhost"),
                path.strip_prefix("/db/").or(path.strip_prefix("/dev/")).and_then(|rest| rest.split('/').next()),
                namespace.as_deref(),
                claim.as_ref().map(DatabaseName::as_str),
            ];
            let names: Vec<_> = speaks.into_iter().flatten().collect();
            for name in &names {
                // A percent-encoded name is another text for the same.
                prop_assert!(name.contains('%') || name.eq_ignore_ascii_case(&route.target.to_string()));
            }
            prop_assert_eq!(names.is_empty(), route.target == Target::Default);
        }
    }
}
