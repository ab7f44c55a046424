//! Routing as configured: which parts of a request may name its database.
use super::error::ConfigError;
use super::layers::Layers;
use rowhouse_gateway::routing::{Domain, Router, Rule};

/// What the layers mean.
pub(super) fn router(layers: &Layers) -> Result<Router, ConfigError> {
    let words = layers.words("routing")?;
    let rules: Vec<_> = words.into_iter().map(|word| Rule::of(word).expect("a word of the table")).collect();
    let domain = |host: String| {
        host.parse::<Domain>().map_err(|error| {
            ConfigError::Conflict(format!(
                "base_domains ({}): {host:?} is {error}",
                layers.origin("base_domains")
            ))
        })
    };
    let domains: Vec<_> = layers.hosts("base_domains")?.into_iter().map(domain).collect::<Result<_, _>>()?;
    Router::new(&rules, domains)
        .map_err(|error| ConfigError::Conflict(format!("routing ({}): {error}", layers.origin("routing"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowhouse_gateway::routing::{Facts, Said};
    use std::path::Path;

    fn routes(toml: &str, host: &str) -> Result<String, String> {
        let mut layers = Layers::new();
        layers.toml(toml, Path::new("rowhouse.toml")).map_err(|error| error.to_string())?;
        let router = router(&layers).map_err(|error| error.to_string())?;
        let facts = Facts { host: Said::This(host.as_bytes()), ..Facts::of("/db/acme/v2") };
        router.route(&facts).map(|route| route.target.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_has_every_rule() {
        assert_eq!(Layers::new().words("routing").expect("valid"), Rule::ALL.map(Rule::as_str));
    }

    #[test]
    fn rules_and_domains_are_configuration() {
        assert_eq!(routes("", "globex.example.com"), Ok("acme".to_owned()));
        let domains = "base_domains = \"example.com, example.org\"";
        assert!(routes(domains, "globex.example.org").is_err());
        let subdomain = format!("routing = \"subdomain, default\"\n{domains}");
        assert_eq!(routes(&subdomain, "globex.example.org"), Ok("globex".to_owned()));
        assert_eq!(routes(&subdomain, "example.org"), Ok(String::new()));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (toml, said) in [
            ("routing = \"host\"", "routing"),
            (
                "routing = \"default,path\"",
                "routing (in rowhouse.toml): `default` is for what nothing else names",
            ),
            ("routing = \"path,path\"", "routing (in rowhouse.toml): `path` is there twice"),
            (
                "base_domains = \"127.0.0.1\"",
                "base_domains (in rowhouse.toml): \"127.0.0.1\" is not a domain",
            ),
        ] {
            let error = routes(toml, "").expect_err("refused");
            assert!(error.contains(said), "{error}");
        }
    }
}
