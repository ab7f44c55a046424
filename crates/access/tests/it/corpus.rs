//! Bad tokens: every one of them is refused, and none of them is told why.
use crate::keys::{Pair, bearer, by_key, now};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use rowhouse_access::AuthError;
use serde_json::{Value, json};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with this head, signed by the secret that a public key would be.
fn confused(algorithm: Algorithm, secret: &[u8]) -> String {
    let head = json!({"alg": format!("{algorithm:?}")});
    let message = format!("{}.{}", part(&head), part(&json!({"exp": now() + 3600})));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).expect("signed");
    format!("{message}.{signature}")
}

fn bad_tokens(pair: &Pair, stranger: &Pair) -> Vec<(&'static str, String)> {
    let head = json!({"alg": format!("{:?}", pair.algorithm)});
    let claims = json!({"exp": now() + 3600, "id": "acme"});
    let good = pair.sign(&head, &claims);
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let unsigned = |alg: &str| format!("{}.{}.", part(&json!({"alg": alg})), part(&claims));
    let with_head = |head: Value| pair.sign(&head, &claims);
    let with_claims = |claims: Value| pair.sign(&head, &claims);
    let algorithm = format!("{:?}", pair.algorithm);
    let flipped = signature.replacen(&signature[..1], if signature.starts_with('A') { "B" } else { "A" }, 1);
    let raw = |claims: &str| {
        let message = format!("{}.{}", part(&head), URL_SAFE_NO_PAD.encode(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &pair.key(), pair.algorithm);
        format!("{message}.{}", signature.expect("signed"))
    };
    vec![
        ("nothing", String::new()),
        ("one part", "token".into()),
        ("two parts", message.into()),
        ("four parts", format!("{good}.{signature}")),
        ("dots", "..".into()),
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg nOnE with a signature", format!("{}{signature}", unsigned("nOnE"))),
        ("no signature", format!("{message}.")),
        ("HMAC by the public key in PEM", confused(Algorithm::HS256, pair.pem().as_bytes())),
        ("HMAC by the public key's bytes", confused(Algorithm::HS512, pair.pair.public_key_raw())),
        ("HMAC by nothing", confused(Algorithm::HS256, b"")),
        ("another algorithm of the same key", with_head(json!({"alg": "RS384"}))),
        ("an algorithm of another key", with_head(json!({"alg": "PS256"}))),
        ("algorithm in another case", with_head(json!({"alg": algorithm.to_lowercase()}))),
        ("algorithm not said", with_head(json!({"typ": "JWT"}))),
        ("algorithm said twice", {
            let head = format!("{{\"alg\":\"none\",\"alg\":\"{algorithm}\"}}");
            format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(head), part(&claims))
        }),
        ("signed by a stranger", stranger.sign(&head, &claims)),
        ("signature changed", format!("{message}.{flipped}")),
        ("signature cut", format!("{message}.{}", &signature[..signature.len() - 4])),
        ("signature of another message", {
            let other = part(&json!({"exp": now() + 3600, "id": "b"}));
            format!("{}.{other}.{signature}", part(&head))
        }),
        ("signature in standard base64", {
            format!("{message}.{}=", STANDARD.encode(URL_SAFE_NO_PAD.decode(signature).expect("base64")))
        }),
        (
            "a key that says how it is verified",
            stranger.sign(
                &json!({"alg": algorithm, "jwk": stranger.jwk("x"), "jku": "http://127.0.0.1/keys"}),
                &claims,
            ),
        ),
        (
            "a path for the key's name",
            stranger.sign(&json!({"alg": algorithm, "kid": "../../key.pem"}), &claims),
        ),
        ("SQL for the key's name", stranger.sign(&json!({"alg": algorithm, "kid": "' OR 1=1 --"}), &claims)),
        ("the key's name is no text", with_head(json!({"alg": algorithm, "kid": 1}))),
        ("something critical", with_head(json!({"alg": algorithm, "crit": ["exp"], "exp": 1}))),
        ("nothing critical, but said", with_head(json!({"alg": algorithm, "crit": []}))),
        ("claims not encoded", with_head(json!({"alg": algorithm, "b64": false, "crit": ["b64"]}))),
        ("compressed", with_head(json!({"alg": algorithm, "zip": "DEF"}))),
        ("without an end", with_claims(json!({"id": "acme"}))),
        ("end is no number", with_claims(json!({"exp": "tomorrow"}))),
        ("end is not finite", raw("{\"exp\": 1e999}")),
        ("end is beyond all years", with_claims(json!({"exp": 1e300}))),
        ("end is before 1970", with_claims(json!({"exp": -1}))),
        ("begins tomorrow", with_claims(json!({"exp": now() + 90_000, "nbf": now() + 86_400}))),
        ("begins at no time", with_claims(json!({"exp": now() + 3600, "nbf": "now"}))),
        ("for somebody else", with_claims(json!({"exp": now() + 3600, "aud": "elsewhere"}))),
        ("claims are a list", with_claims(json!([1, 2]))),
        ("claims are no JSON", raw("exp=9999999999")),
        ("end said twice", raw(&format!("{{\"exp\":1,\"exp\":{}}}", now() + 3600))),
        ("two values", raw(&format!("{{\"exp\":{0}}}{{\"exp\":{0}}}", now() + 3600))),
        (
            "deep claims",
            raw(&format!(
                "{{\"exp\":{},\"databases\":{}1{}}}",
                now() + 3600,
                "[".repeat(300),
                "]".repeat(300)
            )),
        ),
        ("too long", with_claims(json!({"exp": now() + 3600, "x": "y".repeat(9000)}))),
        ("a blank before", format!(" {good}")),
        ("a line after", format!("{good}\n")),
        ("an API token that is none", "rh_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into()),
    ]
}

#[tokio::test]
async fn bad_tokens_are_all_refused_alike() {
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        let (pair, stranger) = (Pair::of(algorithm), Pair::of(algorithm));
        let (_files, access) = by_key(&pair);
        bearer(&access, &pair.token(json!({"id": "acme"}))).await.expect("a good one is not");
        let tokens = bad_tokens(&pair, &stranger);
        assert!(25 < tokens.len());
        for (what, token) in tokens {
            assert_eq!(
                bearer(&access, &token).await.err(),
                Some(AuthError::Invalid),
                "{algorithm:?}: {what}"
            );
        }
    }
}
