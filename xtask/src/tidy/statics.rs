//! No `static` holds state: what a component needs, its constructor receives.

use std::path::Path;

use super::Finding;
use super::scan::{self, Source};

/// Types that make a `static` change under its readers.
const STATEFUL: &[&str] = &[
    "Mutex",
    "RwLock",
    "OnceLock",
    "OnceCell",
    "Once",
    "LazyLock",
    "Lazy",
    "LazyCell",
    "RefCell",
    "Cell",
    "UnsafeCell",
    "Arc",
    "DashMap",
    "Condvar",
    "Semaphore",
    "Notify",
    "ArcSwap",
];

/// Finds statics with state outside tests.
pub(super) fn check(path: &Path, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut line = 1;
    let mut before = ' ';
    for (at, c) in source.code.char_indices() {
        let rest = &source.code[at..];
        let starts_word = !scan::is_word(before) && before != '\'';
        let found = if starts_word && !source.is_test(line) { stateful(rest) } else { None };
        if let Some(what) = found {
            let message = format!("{what} holds state: hand it to the constructor of what needs it");
            findings.push(Finding::new(path, line, message));
        }
        line += usize::from(c == '\n');
        before = c;
    }
    findings
}

/// Says what stateful thing the code declares here, if it does.
fn stateful(code: &str) -> Option<String> {
    for name in ["thread_local!", "lazy_static!"] {
        if code.starts_with(name) {
            return Some(format!("`{name}`"));
        }
    }
    let declaration = code.strip_prefix("static ")?;
    let declaration = &declaration[..declaration.find([';', '=']).unwrap_or(declaration.len())];
    let (name, kind) = declaration.split_once(':')?;
    if name.trim_start().starts_with("mut ") {
        return Some(format!("`static {}`", name.trim()));
    }
    let holds = |word: &str| STATEFUL.contains(&word) || word.starts_with("Atomic");
    scan::words(kind).find(|word| holds(word)).map(|kind| format!("`static {}`, a `{kind}`,", name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(Path::new("a.rs"), &Source::read(text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn state_is_found() {
        for text in [
            "static mut A: u8 = 0;",
            "pub(crate) static A: Mutex<Vec<u8>> = Mutex::new(Vec::new());",
            "static A: std::sync::OnceLock<u8> = OnceLock::new();",
            "static A: AtomicU64 = AtomicU64::new(0);",
            "static A: [AtomicBool; 2] = [];",
            "static A: LazyLock<Arc<u8>> =\n LazyLock::new(f);",
            "thread_local! { static A: u8 = 0; }",
            "std::thread_local! {}",
            "lazy_static! {}",
        ] {
            assert_eq!(lines(text), [1], "{text}");
        }
    }

    #[test]
    fn constants_and_lifetimes_are_not_state() {
        for text in [
            "static A: &str = \"Mutex\";",
            "static TABLE: [u8; 3] = [1, 2, 3];",
            "fn a(x: &'static Mutex<u8>) {}",
            "fn a<T: 'static >(x: Arc<u8>) {}",
            "// static A: Mutex<u8> = 1;",
            "let ecstatic : Mutex<u8> = 1;",
        ] {
            assert_eq!(lines(text), [0; 0], "{text}");
        }
    }

    #[test]
    fn tests_may_hold_state() {
        assert_eq!(
            lines("#[cfg(test)]\nmod tests {\n    static A: Mutex<u8> = x;\n}\nstatic B: Mutex<u8> = x;"),
            [5]
        );
    }
}
