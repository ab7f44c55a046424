//! Tokens that others sign.
use crate::keys::{Files, Pair, bearer, by_key, now};
use jsonwebtoken::Algorithm;
use rowhouse_access::{Access, AccessParts, AuthError, Scope};
use rowhouse_types::Target;
use serde_json::{Value, json};

fn named(name: &str) -> Target {
    Target::Named(name.parse().expect("a name"))
}

/// What these claims allow to whom: `rwca` of each of these databases.
async fn allowed(access: &Access, pair: &Pair, claims: Value) -> Result<[String; 4], AuthError> {
    let identity = bearer(access, &pair.token(claims)).await?;
    let targets = [Target::Default, named("acme"), named("acme2"), named("b")];
    Ok(targets.map(|target| {
        let may = Scope::ALL.into_iter().filter(|scope| identity.may(*scope, &target));
        may.map(|scope| &scope.as_str()[..1]).collect()
    }))
}

#[tokio::test]
async fn every_kind_of_key_is_believed_for_its_own_algorithm() {
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        let (pair, stranger) = (Pair::of(algorithm), Pair::of(algorithm));
        let (_files, access) = by_key(&pair);
        let token = pair.token(json!({"sub": "alice"}));
        let identity = bearer(&access, &token).await.unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
        let who = identity.who.as_deref().expect("the key's and the subject's");
        assert!(who.starts_with("jwt:") && who.ends_with(":alice"), "{who}");
        let refused = bearer(&access, &stranger.token(json!({"sub": "alice"}))).await;
        assert_eq!(refused.err(), Some(AuthError::Invalid), "{algorithm:?}");
    }
}

#[tokio::test]
async fn everybody_with_a_token_is_somebody_by_their_key_and_their_subject_or_else_their_claims() {
    let (files, server, acme) = (Files::new(), Pair::ed25519(), Pair::ed25519());
    let parts = AccessParts {
        jwt_key_file: Some(files.write("server.pem", &server.pem())),
        database_keys_directory: files.write("keys/acme.pem", &acme.pem()).parent().map(Into::into),
        ..AccessParts::default()
    };
    let access = Access::new(parts).expect("keys");
    let who = async |pair: &Pair, claims: Value| bearer(&access, &pair.token(claims)).await.expect("signed");
    let long = "x".repeat(200);
    let all = [
        who(&server, json!({"sub": "alice", "id": "acme"})).await,
        who(&acme, json!({"sub": "alice", "id": "acme"})).await,
        who(&server, json!({"id": "acme"})).await,
        who(&server, json!({"id": "acme", "a": "ro"})).await,
        who(&server, json!({"id": "acme", "team": "b"})).await,
        who(&acme, json!({"id": "acme"})).await,
        who(&server, json!({"id": "acme", "sub": format!("{long}1")})).await,
        who(&server, json!({"id": "acme", "sub": format!("{long}2")})).await,
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(one.who.is_some(), "{one:?}");
        for other in &all[at + 1..] {
            assert!(one.who != other.who && !one.is_same(other), "{one:?} {other:?}");
        }
    }
    for claims in [json!({"sub": "alice", "id": "acme"}), json!({"id": "acme"})] {
        let mut anew = claims.clone();
        (anew["exp"], anew["iat"], anew["jti"]) = (json!(now() + 7200), json!(now()), json!("another"));
        let (one, anew) = (who(&server, claims.clone()).await, who(&server, anew).await);
        assert!(one.is_same(&anew), "made anew: {one:?} {anew:?}");
        let mut narrower = claims;
        narrower["a"] = json!("ro");
        let narrower = who(&server, narrower).await;
        assert!(!one.is_same(&narrower), "{one:?}");
    }
}

#[tokio::test]
async fn claims_of_libsql_and_ours_allow_what_they_say() {
    let pair = Pair::ed25519();
    let (_files, access) = by_key(&pair);
    let (r, w, c, none) = ("r".to_owned(), "rw".to_owned(), "rwc".to_owned(), String::new);
    for (claims, expected) in [
        (json!({}), [c.clone(), c.clone(), c.clone(), c.clone()]),
        (json!({"a": "rw"}), [c.clone(), c.clone(), c.clone(), c]),
        (json!({"a": "ro"}), [r.clone(), r.clone(), r.clone(), r.clone()]),
        (json!({"id": "acme"}), [none(), w.clone(), none(), none()]),
        (json!({"id": "acme", "a": "ro"}), [none(), r.clone(), none(), none()]),
        (
            json!({"id": null, "a": null, "p": {"rw": {"ns": ["acme"]}, "roa": {"ns": ["b"]}}}),
            [none(), w.clone(), none(), r.clone()],
        ),
        (
            json!({"id": "acme2", "a": "rw", "p": {"ro": {"ns": ["acme"]}}}),
            [none(), r.clone(), none(), none()],
        ),
        (json!({"p": {}}), [none(), none(), none(), none()]),
        (json!({"databases": ["acme", "b"], "scopes": ["read"]}), [none(), r.clone(), none(), r.clone()]),
        (json!({"databases": "acme*", "scopes": "read create"}), [none(), "rc".into(), "rc".into(), none()]),
        (json!({"databases": ["acme"]}), [none(), w, none(), none()]),
        (json!({"scopes": ["read"]}), [r.clone(), r.clone(), r.clone(), r]),
        (json!({"databases": ["~default"], "scopes": ["admin"]}), ["a".into(), none(), none(), none()]),
    ] {
        let told = claims.to_string();
        assert_eq!(allowed(&access, &pair, claims).await, Ok(expected), "{told}");
    }
}

#[tokio::test]
async fn claims_that_are_unclear_allow_nothing() {
    let pair = Pair::ed25519();
    let (_files, access) = by_key(&pair);
    for claims in [
        json!({"id": "acme", "databases": ["b"]}),
        json!({"a": "rw", "scopes": ["read"]}),
        json!({"p": {"rw": {"ns": ["acme"]}}, "databases": ["acme"]}),
        json!({"id": "../acme"}),
        json!({"id": "acme*"}),
        json!({"id": ""}),
        json!({"a": "root"}),
        json!({"p": {"rw": {"ns": ["a/b"]}}}),
        json!({"databases": ["acme", "a/b"]}),
        json!({"databases": [1]}),
        json!({"databases": {"acme": true}}),
        json!({"scopes": ["everything"]}),
        json!({"databases": vec!["a"; 300]}),
    ] {
        let told = claims.to_string();
        assert_eq!(allowed(&access, &pair, claims).await, Err(AuthError::Invalid), "{told}");
    }
}

#[tokio::test]
async fn a_database_s_own_key_speaks_for_it_and_for_no_other() {
    let files = Files::new();
    let (server, acme, many) = (Pair::ed25519(), Pair::ed25519(), Pair::of(Algorithm::ES256));
    files.write("keys/acme.pem", &acme.pem());
    files.write("keys/eu-*.jwks", &json!({"keys": [many.jwk("europe")]}).to_string());
    files.write("keys/README.txt", "not looked at");
    let parts = AccessParts {
        jwt_key_file: Some(files.write("server.pem", &server.pem())),
        database_keys_directory: Some(files.path().join("keys")),
        ..AccessParts::default()
    };
    let access = Access::new(parts).expect("keys");
    let may = async |token: String, name: &str| match bearer(&access, &token).await {
        Ok(identity) => identity.may(Scope::Write, &named(name)),
        Err(_) => false,
    };
    assert!(may(acme.token(json!({"id": "acme"})), "acme").await);
    assert!(may(acme.named_token(Some("acme"), json!({})), "acme").await, "the key says it");
    assert!(!may(acme.named_token(Some("acme"), json!({})), "b").await);
    assert!(!may(acme.token(json!({"id": "b"})), "b").await);
    assert!(!may(acme.token(json!({"databases": ["acme", "b"]})), "b").await);
    assert!(may(acme.token(json!({"databases": ["acme", "b"]})), "acme").await, "what both allow");
    assert!(!may(acme.token(json!({})), "acme").await, "nobody knows whose key it is");
    assert!(may(server.token(json!({"id": "acme"})), "acme").await);
    assert!(may(many.named_token(Some("europe"), json!({})), "eu-1").await);
    assert!(!may(many.named_token(Some("europe"), json!({})), "us-1").await);
    let admin = acme.token(json!({"databases": ["acme"], "scopes": ["admin", "create"]}));
    let admin = bearer(&access, &admin).await.expect("signed");
    assert!(admin.may(Scope::Create, &named("acme")) && !admin.may(Scope::Admin, &named("acme")));
}

#[tokio::test]
async fn a_set_of_keys_is_looked_up_by_the_name_that_a_token_calls_its_own() {
    let files = Files::new();
    let (one, two) = (Pair::ed25519(), Pair::of(Algorithm::ES256));
    let other = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "hmac"});
    let unknown = json!({"kty": "EC", "crv": "P-521", "kid": "odd", "x": "AA", "y": "AA"});
    let set = json!({"keys": [one.jwk("one"), two.jwk("two"), other, unknown]}).to_string();
    let parts = AccessParts { jwks_file: Some(files.write("set.jwks", &set)), ..AccessParts::default() };
    let access = Access::new(parts).expect("keys");
    bearer(&access, &one.named_token(Some("one"), json!({}))).await.expect("its key");
    bearer(&access, &two.named_token(Some("two"), json!({}))).await.expect("its key");
    for (pair, id) in [(&one, Some("two")), (&one, None), (&two, Some("hmac")), (&one, Some("../set.jwks"))] {
        let refused = bearer(&access, &pair.named_token(id, json!({}))).await;
        assert_eq!(refused.err(), Some(AuthError::Invalid), "{id:?}");
    }
}

#[tokio::test]
async fn keys_are_exchanged_while_it_runs_and_who_came_in_by_one_that_is_gone_is_felt() {
    let (old, new) = (Pair::ed25519(), Pair::ed25519());
    let (files, access) = by_key(&old);
    let token = old.token(json!({"sub": "alice"}));
    let held = bearer(&access, &token).await.expect("known");
    files.write("key.pem", &format!("{}\n{}", old.pem(), new.pem()));
    assert!(access.reload().is_empty());
    assert!(held.is_current(), "its key is still there");
    bearer(&access, &new.token(json!({}))).await.expect("the new one, too");
    files.write("key.pem", "nothing like a key");
    assert_eq!(access.reload().len(), 1);
    bearer(&access, &token).await.expect("what cannot be read exchanges nothing");
    files.write("key.pem", &new.pem());
    assert!(access.reload().is_empty());
    assert!(!held.is_current() && !held.may(Scope::Read, &named("acme")));
    assert_eq!(bearer(&access, &token).await.err(), Some(AuthError::Invalid), "remembered or not");
    files.write("key.pem", &old.pem());
    assert!(access.reload().is_empty());
    assert!(!held.is_current(), "what was taken back stays so");
    bearer(&access, &token).await.expect("who comes in anew comes in");
}

#[tokio::test]
async fn issuer_and_audience_are_as_configured() {
    let pair = Pair::ed25519();
    let files = Files::new();
    let parts = AccessParts {
        jwt_key_file: Some(files.write("key.pem", &pair.pem())),
        jwt_issuers: vec!["https://issuer".into(), "other".into()],
        jwt_audiences: vec!["rowhouse".into()],
        ..AccessParts::default()
    };
    let access = Access::new(parts).expect("a key");
    for (claims, good) in [
        (json!({"iss": "https://issuer", "aud": "rowhouse"}), true),
        (json!({"iss": "other", "aud": ["x", "rowhouse"]}), true),
        (json!({"iss": "other", "aud": ["x"]}), false),
        (json!({"iss": "other", "aud": "rowhouse,x"}), false),
        (json!({"iss": "other"}), false),
        (json!({"iss": "https://issuer/", "aud": "rowhouse"}), false),
        (json!({"aud": "rowhouse"}), false),
    ] {
        let told = claims.to_string();
        assert_eq!(bearer(&access, &pair.token(claims)).await.is_ok(), good, "{told}");
    }
    let (_files, access) = by_key(&pair);
    let refused = bearer(&access, &pair.token(json!({"aud": "another service"}))).await;
    assert_eq!(refused.err(), Some(AuthError::Invalid), "it is meant for somebody else");
}

#[tokio::test]
async fn a_token_ends_in_its_time_with_a_minute_for_clocks_that_differ() {
    let pair = Pair::ed25519();
    let (_files, access) = by_key(&pair);
    bearer(&access, &pair.token(json!({"exp": now() - 30}))).await.expect("within a minute");
    let over = bearer(&access, &pair.token(json!({"exp": now() - 90}))).await;
    assert_eq!(over.err(), Some(AuthError::Expired));
    bearer(&access, &pair.token(json!({"nbf": now() + 30}))).await.expect("within a minute");
    let early = bearer(&access, &pair.token(json!({"nbf": now() + 90}))).await;
    assert_eq!(early.err(), Some(AuthError::Invalid));
    let identity = bearer(&access, &pair.token(json!({"exp": now() as f64 + 0.5}))).await.expect("a number");
    assert!(identity.expires.is_some());
}

#[test]
fn files_that_others_may_change_or_that_hold_what_they_should_not_are_refused() {
    let (files, pair) = (Files::new(), Pair::ed25519());
    let refused = |parts: AccessParts| {
        let error = Access::new(parts).expect_err("refused");
        let mut told = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            told = format!("{told}: {source}");
            cause = source.source();
        }
        told
    };
    let key = |name: &str, text: &str, mode| AccessParts {
        jwt_key_file: Some(files.write_as(name, text, mode)),
        ..AccessParts::default()
    };
    let set = |name: &str, text: &str| AccessParts {
        jwks_file: Some(files.write(name, text)),
        ..AccessParts::default()
    };
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    for (parts, expected) in [
        (key("open.pem", &pair.pem(), 0o666), "others than its owner may change"),
        (key("private.pem", &pair.pair.serialize_pem(), 0o600), "a private key"),
        (key("empty.pem", "", 0o644), "holds no public key"),
        (key("p384.pem", &p384.public_key_pem(), 0o644), "none of EdDSA"),
        (set("empty.jwks", "{\"keys\": []}"), "none of EdDSA"),
        (set("no.jwks", "keys"), "holds no public key"),
        (set("hmac.jwks", "{\"keys\": [{\"kty\": \"oct\", \"k\": \"c2VjcmV0\"}]}"), "none of EdDSA"),
        (
            set("d.jwks", "{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"d\": \"AA\"}]}"),
            "a private key",
        ),
    ] {
        let told = refused(parts);
        assert!(told.contains(expected), "{told}");
    }
    files.write("keys/a.b.pem", &pair.pem());
    let directory = Some(files.path().join("keys"));
    let told = refused(AccessParts { database_keys_directory: directory, ..AccessParts::default() });
    assert!(told.contains("not called by the name of a database"), "{told}");
}

#[tokio::test]
async fn a_bare_key_as_sqld_takes_it_is_one() {
    use base64::Engine as _;
    use rcgen::PublicKeyData as _;
    let (files, pair) = (Files::new(), Pair::ed25519());
    let bare = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(pair.pair.der_bytes());
    let parts = AccessParts {
        jwt_key_file: Some(files.write("key", &format!("{bare}\n"))),
        ..AccessParts::default()
    };
    let access = Access::new(parts).expect("a key");
    bearer(&access, &pair.token(json!({"id": "acme"}))).await.expect("believed");
}
